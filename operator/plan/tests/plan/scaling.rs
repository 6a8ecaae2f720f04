//! How many pods there are: the spec, an autoscaler of ours, or one of somebody else, which is respected.

use crds::{GatewayService, Replicas, ServiceType, Storefront, TrafficPolicy};
use jiff::Timestamp;
use operator_plan::{
    Mode, Objects, Outcome, Planned, conditions::find, gateway, service_deployment, storefront,
};
use serde_json::{Value, json};

use crate::fixtures::{
    applied, children, data_plane, edit, gateway_of, migrated, platform, shop, valid_service,
    valid_shop,
};

fn of_kind<'a>(plan: &'a Objects<Planned>, kind: &str) -> Option<&'a Planned> {
    plan.items.iter().find(|item| item.key.kind == kind)
}

fn plane(shop: &Storefront) -> Objects<Planned> {
    data_plane(&gateway_of(&storefront::desired(&valid_shop(shop))), shop)
}

#[test]
fn the_gateway_has_as_many_pods_as_the_spec_says_and_they_are_spread() {
    let mut shop = shop("storefront.yaml");
    let one = plane(&shop);
    let deployment = of_kind(&one, "Deployment").expect("planned");
    assert_eq!(deployment.body["spec"]["replicas"], 1);
    let pod = &deployment.body["spec"]["template"]["spec"];
    assert!(pod["topologySpreadConstraints"].is_null(), "as it was");

    shop.spec.gateway.replicas = Some(Replicas {
        min: 3,
        ..Replicas::default()
    });
    let three = plane(&shop);
    let deployment = of_kind(&three, "Deployment").expect("planned");
    assert_eq!(deployment.body["spec"]["replicas"], 3);
    let pod = &deployment.body["spec"]["template"]["spec"];
    assert_eq!(
        pod["topologySpreadConstraints"].as_array().map(Vec::len),
        Some(2)
    );
    assert!(of_kind(&three, "HorizontalPodAutoscaler").is_none());
    assert!(of_kind(&three, "PodDisruptionBudget").is_some());
}

#[test]
fn a_gateway_with_a_maximum_is_scaled() {
    let mut shop = shop("storefront.yaml");
    shop.spec.gateway.replicas = Some(Replicas {
        min: 2,
        max: Some(5),
        cpu_percent: Some(60),
    });
    let plan = plane(&shop);
    let scaler = of_kind(&plan, "HorizontalPodAutoscaler").expect("planned");
    assert_eq!(scaler.body["spec"]["minReplicas"], 2);
    assert_eq!(scaler.body["spec"]["maxReplicas"], 5);
    assert_eq!(
        scaler.body["spec"]["scaleTargetRef"]["name"],
        "demo-gateway"
    );
    let deployment = of_kind(&plan, "Deployment").expect("planned");
    assert_eq!(deployment.mode, Mode::ApplyScaled { at_least: 2 });
    assert!(deployment.body["spec"]["replicas"].is_null());
}

#[test]
fn the_gateways_service_is_reached_as_the_spec_says() {
    let mut shop = shop("storefront.yaml");
    let service = |shop: &Storefront| of_kind(&plane(shop), "Service").expect("one").body.clone();
    assert!(service(&shop)["spec"]["type"].is_null(), "as it was");
    shop.spec.gateway.service = Some(GatewayService {
        type_: ServiceType::LoadBalancer,
        load_balancer_class: Some("example.com/lb".into()),
        external_traffic_policy: Some(TrafficPolicy::Local),
        annotations: [("example.com/a".to_owned(), "b".to_owned())].into(),
    });
    let body = service(&shop);
    assert_eq!(body["spec"]["type"], "LoadBalancer");
    assert_eq!(body["spec"]["loadBalancerClass"], "example.com/lb");
    assert_eq!(body["spec"]["externalTrafficPolicy"], "Local");
    assert_eq!(body["metadata"]["annotations"]["example.com/a"], "b");
    let plan = plane(&shop);
    let pods = of_kind(&plan, "Deployment").expect("one");
    assert!(!pods.body.to_string().contains("example.com/a"));
}

#[test]
fn a_gateway_of_nobody_has_one_pod() {
    let gateway = gateway_of(&storefront::desired(&valid_shop(&shop(
        "storefront-full.yaml",
    ))));
    let valid = gateway::validate(&gateway, &gateway::Observed::default(), &platform()).ready();
    let plan = gateway::desired(&valid.expect("valid"));
    let deployment = of_kind(&plan, "Deployment").expect("planned");
    assert_eq!(deployment.body["spec"]["replicas"], 1);
}

#[test]
fn an_autoscaler_of_somebody_else_decides_how_many_pods_the_gateway_has() {
    let mut shop = shop("storefront.yaml");
    shop.spec.gateway.replicas = Some(Replicas {
        min: 2,
        max: Some(5),
        cpu_percent: None,
    });
    let gateway = gateway_of(&storefront::desired(&valid_shop(&shop)));
    let seen = gateway::Observed {
        storefront: Some(std::sync::Arc::new(shop)),
        is_scaled: true,
        account_since: None,
    };
    let valid = gateway::validate(&gateway, &seen, &platform()).ready();
    assert_is_left_to_another(&gateway::desired(&valid.expect("valid")));
}

#[test]
fn an_autoscaler_of_somebody_else_decides_how_many_pods_a_service_has() {
    let shop = shop("storefront-full.yaml");
    for service in children(&shop) {
        let mut seen = migrated(&service, &shop);
        seen.is_scaled = true;
        let valid = service_deployment::validate(&service, &seen, &platform()).ready();
        assert_is_left_to_another(&service_deployment::desired(&valid.expect("valid")));
    }
}

#[test]
fn an_autoscaler_of_a_service_itself_decides_how_many_pods_it_has() {
    let mut shop = shop("storefront.yaml");
    let wanted = crds::ServiceOverride {
        replicas: Some(Replicas {
            min: 2,
            max: Some(6),
            cpu_percent: None,
        }),
        ..crds::ServiceOverride::default()
    };
    shop.spec.services.insert("order".into(), wanted);
    let mut around = crate::fixtures::seen(&shop);
    around.scaled.insert("demo-order".into());
    let valid = storefront::validate(&shop, around, &platform()).ready();
    let plan = storefront::desired(&valid.expect("valid"));
    let services = plan
        .items
        .iter()
        .filter(|item| item.key.kind == "ServiceDeployment");
    for item in services {
        let is_scaled = item.key.name == "demo-order";
        assert_eq!(item.body["spec"].get("replicas").is_none(), is_scaled);
        let mode = if is_scaled {
            Mode::ApplyScaled { at_least: 2 }
        } else {
            Mode::Apply
        };
        assert_eq!(item.mode, mode, "{}", item.key.name);
    }

    let mut all = children(&shop).into_iter();
    let mut order = all
        .find(|it| it.metadata.name.as_deref() == Some("demo-order"))
        .expect("order");
    order.spec.replicas.min = 4;
    let pods = |is_scaled_itself| {
        let mut seen = migrated(&order, &shop);
        seen.is_scaled_itself = is_scaled_itself;
        let valid = service_deployment::validate(&order, &seen, &platform()).ready();
        let plan = service_deployment::desired(&valid.expect("valid"));
        let deployment = of_kind(&plan, "Deployment").expect("planned");
        let ours = of_kind(&plan, "HorizontalPodAutoscaler").is_some();
        (deployment.body["spec"]["replicas"].clone(), ours)
    };
    assert_eq!(pods(true), (json!(4), false), "what the autoscaler wrote");
    assert_eq!(pods(false), (Value::Null, true), "what the shop asks for");
}

#[test]
fn an_autoscaler_that_does_nothing_is_told_and_the_service_is_ready_all_the_same() {
    let shop = shop("storefront-full.yaml");
    let mut all = children(&shop).into_iter();
    let order = all.find(|it| it.spec.replicas.max.is_some());
    let order = order.expect("a service that scales");
    let valid = valid_service(&order, &shop);
    let plan = service_deployment::desired(&valid);
    let told = |status: &str, reason: &str| {
        let objects = applied(&plan, |item| match item.key.kind.as_str() {
            "HorizontalPodAutoscaler" => {
                json!({ "conditions": [{ "type": "ScalingActive", "status": status,
                "reason": reason, "message": "no metrics were returned\nsecond line",
                "lastTransitionTime": "2026-01-01T00:00:00Z" }] })
            }
            _ => Value::Null,
        });
        let outcome = Outcome::Applied {
            valid: &valid,
            objects: &objects,
        };
        let status = service_deployment::status(&order, &outcome, Timestamp::UNIX_EPOCH);
        let found = find(&status.conditions, "AutoscalerActive").cloned();
        let ready = find(&status.conditions, "Ready").expect("Ready");
        assert!(!ready.message.contains("Autoscaler"), "{}", ready.message);
        found.map(|it| (it.status, it.message))
    };
    let (status, message) = told("False", "FailedGetResourceMetric").expect("it is told");
    assert_eq!(status, "False");
    assert!(
        message.contains("no metrics were returned; install metrics-server"),
        "{message}"
    );
    assert_eq!(told("True", "ValidMetricFound"), None);
    assert_eq!(told("False", "ScalingDisabled"), None);
}

fn assert_is_left_to_another(plan: &Objects<Planned>) {
    let deployment = of_kind(plan, "Deployment").expect("planned");
    assert!(matches!(deployment.mode, Mode::ApplyScaled { .. }));
    assert!(deployment.body["spec"]["replicas"].is_null());
    // Two autoscalers of one workload both stop.
    assert!(of_kind(plan, "HorizontalPodAutoscaler").is_none());
}

#[test]
fn a_service_that_another_scales_below_its_minimum_is_available() {
    let mut shop = shop("storefront.yaml");
    let web = crds::ServiceOverride {
        replicas: Some(Replicas {
            min: 3,
            ..Replicas::default()
        }),
        ..crds::ServiceOverride::default()
    };
    shop.spec.services.insert("web".into(), web);
    let services = children(&shop);
    let service = services
        .iter()
        .find(|service| service.metadata.name.as_deref() == Some("demo-web"))
        .expect("web");
    let mut seen = migrated(service, &shop);
    seen.is_scaled = true;
    let valid = service_deployment::validate(service, &seen, &platform()).ready();
    let valid = valid.expect("valid");
    let mut objects = applied(&service_deployment::desired(&valid), |item| {
        match item.key.kind.as_str() {
            "Deployment" => json!({ "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
                "availableReplicas": 1, "observedGeneration": 1 }),
            _ => Value::Null,
        }
    });
    for item in &mut objects.items {
        if item.key.kind == "Deployment" {
            edit(item, |live| {
                live["spec"]["replicas"] = json!(1);
                live["metadata"]["annotations"]["storefront.dev/autoscaled"] = json!("true");
            });
        }
    }
    let outcome = Outcome::Applied {
        valid: &valid,
        objects: &objects,
    };
    let status = service_deployment::status(service, &outcome, jiff::Timestamp::UNIX_EPOCH);
    let available = operator_plan::conditions::find(&status.conditions, "Available");
    assert_eq!(available.map(|it| it.status.as_str()), Some("True"));
}
