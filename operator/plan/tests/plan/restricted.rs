//! Every pod of the platform must be let into a namespace that enforces `restricted` Pod Security.

use crds::ServiceDeployment;
use operator_plan::{Mode, Objects, Planned, database_binding, service_deployment, storefront};
use serde_json::Value;

use crate::fixtures::{
    around, children, data_plane, example, gateway_of, platform, shop, shops, valid_service,
    valid_shop,
};
use crate::proof::upgrade;

fn every_plan() -> Vec<Objects<Planned>> {
    let mut plans = Vec::new();
    for file in shops() {
        let shop = shop(&file);
        let planned = storefront::desired(&valid_shop(&shop));
        plans.push(data_plane(&gateway_of(&planned), &shop));
        plans.push(planned);
        for service in children(&shop) {
            plans.push(service_deployment::desired(&valid_service(&service, &shop)));
            // With the migration's Job.
            let before =
                service_deployment::validate(&service, &around(&service, &shop), &platform());
            plans.push(service_deployment::desired(&before.ready().expect("valid")));
        }
    }
    for file in ["team-service.yaml", "team-service-smallest.yaml"] {
        let service: ServiceDeployment = example(file).pop().expect("one");
        plans.push(service_deployment::desired(&valid_service(
            &service,
            &shop("storefront.yaml"),
        )));
    }
    let binding = example::<crds::DatabaseBinding>("external-database.yaml")
        .pop()
        .expect("one");
    let wanted = database_binding::Wanted::of(&binding, false).expect("stored");
    let (shop, world) = upgrade();
    let upgrading = storefront::validate(&shop, world, &platform());
    plans.push(storefront::desired(&upgrading.ready().expect("valid")));
    let dump = database_binding::backup(&binding, &wanted, &platform(), None);
    plans.push(dump.objects);
    plans
}

fn pods(plans: &[Objects<Planned>]) -> Vec<(String, Value)> {
    let items = plans.iter().flat_map(|plan| &plan.items);
    let pods: Vec<_> = items
        .filter(|item| item.mode != Mode::Keep)
        .map(|item| {
            (
                format!("{} {}", item.key.kind, item.key.name),
                &item.body["spec"]["template"]["spec"],
            )
        })
        .filter(|(_, pod)| pod.is_object())
        .map(|(name, pod)| (name, pod.clone()))
        .collect();
    assert!(pods.len() > 30, "only {} pods were found", pods.len());
    pods
}

/// Asserts what Pod Security's level `restricted` asks of a pod.
pub fn assert_restricted(name: &str, pod: &Value) {
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"], true, "{name}");
    assert_eq!(
        security["seccompProfile"]["type"], "RuntimeDefault",
        "{name}"
    );
    assert_ne!(security["runAsUser"], 0, "{name}");
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[field].is_null(), "{name} sets {field}");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let allowed = ["secret", "emptyDir", "persistentVolumeClaim"];
        assert!(
            allowed.iter().any(|kind| !volume[kind].is_null()),
            "{name}: {volume}"
        );
    }
    for container in pod["containers"].as_array().expect("containers") {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(
            security["capabilities"]["drop"],
            serde_json::json!(["ALL"]),
            "{name}"
        );
        assert!(security["capabilities"]["add"].is_null(), "{name}");
        assert_eq!(security["runAsNonRoot"], true, "{name}");
        assert!(security["privileged"].is_null(), "{name}");
        for port in container["ports"].as_array().into_iter().flatten() {
            assert!(port["hostPort"].is_null(), "{name}");
        }
    }
}

#[test]
fn every_pod_meets_the_restricted_level() {
    for (name, pod) in pods(&every_plan()) {
        assert_restricted(&name, &pod);
    }
}

#[test]
fn every_container_has_a_read_only_root_and_a_memory_limit() {
    for (name, pod) in pods(&every_plan()) {
        for container in pod["containers"].as_array().expect("containers") {
            assert_eq!(
                container["securityContext"]["readOnlyRootFilesystem"], true,
                "{name}"
            );
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name}"
            );
            assert!(
                container["resources"]["requests"]["cpu"].is_string(),
                "{name}"
            );
        }
    }
}

#[test]
fn only_the_gateway_has_a_token_of_the_api_server() {
    for (name, pod) in pods(&every_plan()) {
        let has_token = pod["automountServiceAccountToken"] == true;
        assert_eq!(has_token, name.ends_with("-gateway"), "{name}");
    }
}

#[test]
fn every_pod_that_serves_has_all_three_probes() {
    for (name, pod) in pods(&every_plan())
        .iter()
        .filter(|(name, _)| !name.starts_with("Job"))
    {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert!(
                pod["containers"][0][probe].is_object(),
                "{name} has no {probe}"
            );
        }
    }
}

#[test]
fn a_pod_has_longer_to_end_than_it_takes_to_drain() {
    for (name, pod) in pods(&every_plan()) {
        let container = &pod["containers"][0];
        let drain = container["env"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|var| var["name"] == "DRAIN_SECS")
            .and_then(|var| var["value"].as_str()?.parse::<i64>().ok());
        let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64();
        if let (Some(drain), Some(sleep)) = (drain, sleep) {
            let grace = pod["terminationGracePeriodSeconds"]
                .as_i64()
                .expect("a grace period");
            assert!(grace > drain + sleep, "{name}");
        }
    }
}

#[test]
fn no_secret_is_in_an_environment_variable() {
    for (name, pod) in pods(&every_plan()) {
        for var in pod["containers"][0]["env"].as_array().into_iter().flatten() {
            // What a pod is called is no secret; a reference to a Secret would be one.
            let from = var["valueFrom"].as_object().into_iter().flatten();
            assert!(
                from.into_iter().all(|(kind, _)| kind == "fieldRef"),
                "{name}"
            );
            let value = var["value"].as_str().unwrap_or_default();
            let secrets = [
                "admin-password",
                "internal-token",
                "postgres-password",
                "nats-password",
                "nats-routes-password",
                "redis-password",
            ];
            assert!(
                !secrets.iter().any(|secret| value.contains(secret)),
                "{name}"
            );
        }
    }
}

#[test]
fn a_policy_of_tokens_is_written_before_the_route_that_it_guards() {
    for plan in every_plan() {
        let last_policy = plan
            .items
            .iter()
            .rposition(|item| item.key.kind == "JwtPolicy");
        let first_route = plan
            .items
            .iter()
            .position(|item| item.key.kind == "HTTPRoute");
        if let (Some(policy), Some(route)) = (last_policy, first_route) {
            assert!(policy < route);
        }
    }
}
