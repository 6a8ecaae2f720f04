//! What a cluster of NATS servers needs beyond a single one: a name for each server, a password between
//! them, and placement and evictions that do not take two servers at a time.

use std::collections::BTreeMap;

use crds::StorefrontSpec;
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, PodSpec, Service, ServiceSpec},
        networking::v1::NetworkPolicy,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::super::workload;
use crate::{
    Objects, Planned,
    network::{self, Flows, allow_from, allow_to},
    own_secret::{Content, OwnSecret},
    pods::{self, label_selector},
    resources::resources,
    storefront::Valid,
};

/// Password of the servers among themselves. The headless Service and the policy have its name.
pub(super) const ROUTES: OwnSecret = OwnSecret {
    part: "nats-routes",
    content: Content::Generated { key: "password" },
    when: is_cluster,
};
/// Port between the servers.
const ROUTES_PORT: i32 = 6222;
/// The servers' user among themselves.
const ROUTES_USER: &str = "server";

/// Whether a shop with this spec has more than one server.
pub(super) fn is_cluster(spec: &StorefrontSpec) -> bool {
    spec.queue.nats.replicas > 1
}

/// How many servers the shop has.
pub(super) fn servers(valid: &Valid) -> i32 {
    valid.storefront.spec.queue.nats.replicas
}

/// What a number of ready servers means: Raft goes on with a majority.
pub(super) fn majority(ready: i32, wanted: i32) -> &'static str {
    match (wanted > 1, ready > wanted / 2) {
        (false, _) => "",
        (true, true) => ": a majority, so events are delivered",
        (true, false) => ": no majority, so events are delayed",
    }
}

/// Plans the names of the servers, and the budget that keeps a majority.
pub(super) fn plan(valid: &Valid, part: &str, objects: &mut Objects<Planned>) {
    let ports = [("routes", ROUTES_PORT, "routes")];
    let mut service = pods::service(valid.meta(ROUTES.part), selector(valid, part), &ports);
    if let Some(spec) = service.spec.as_mut() {
        name_each_pod(spec);
    }
    objects.apply::<Service>(&service);
    objects.apply(&PodDisruptionBudget {
        metadata: valid.meta(part),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(label_selector(selector(valid, part))),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    });
}

/// Also before a pod is ready: servers become ready by finding each other.
fn name_each_pod(spec: &mut ServiceSpec) {
    spec.cluster_ip = Some("None".into());
    spec.publish_not_ready_addresses = Some(true);
}

/// Turns the set of a single server into that of a cluster.
pub(super) fn extend(valid: &Valid, set: &mut StatefulSet) {
    let Some(spec) = set.spec.as_mut() else {
        return;
    };
    spec.replicas = Some(servers(valid));
    spec.service_name = Some(valid.child(ROUTES.part));
}

/// Turns the pod of a single server into that of one of several.
pub(super) fn extend_pod(valid: &Valid, part: &str, pod: &mut PodSpec) {
    let pods_of = label_selector(selector(valid, part));
    pod.topology_spread_constraints = Some(pods::spread(&pods_of, None));
    let Some(container) = pod.containers.first_mut() else {
        return;
    };
    container.env.get_or_insert_default().push(EnvVar {
        name: "POD_NAME".into(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: None,
                field_path: "metadata.name".into(),
            }),
            ..EnvVarSource::default()
        }),
    });
    let ports = container.ports.get_or_insert_default();
    ports.push(workload::port("routes", ROUTES_PORT));
    // Each of three needs less than a single one.
    container.resources = Some(resources("25m", "48Mi", "256Mi"));
}

/// The part of a server's configuration that is about the others. Clients learn of none of them: the
/// Service knows which are ready.
pub(super) fn configuration(valid: &Valid, part: &str, password: &str) -> String {
    let (name, domain) = (valid.child(part), valid.child(ROUTES.part));
    let namespace = &valid.scope.namespace;
    let route = |index| {
        format!(
            "    \"nats-route://{ROUTES_USER}:{password}@{name}-{index}.{domain}.{namespace}.svc:{ROUTES_PORT}\"\n"
        )
    };
    let routes: String = (0..servers(valid)).map(route).collect();
    format!(
        r#"cluster {{
  name: "{name}"
  listen: "0.0.0.0:{ROUTES_PORT}"
  no_advertise: true
  authorization {{ user: "{ROUTES_USER}", password: "{password}" }}
  routes: [
{routes}  ]
}}
"#
    )
}

/// Allows the servers, and no other pod, to connect to each other.
pub(super) fn policy(valid: &Valid, part: &str) -> NetworkPolicy {
    let servers = selector(valid, part);
    let peers = || vec![network::pods(servers.clone())];
    let routes = || network::tcp(&[ROUTES_PORT]);
    let flows = Flows {
        ingress: Some(vec![allow_from(peers(), routes())]),
        egress: Some(vec![allow_to(peers(), routes())]),
    };
    network::policy(
        valid.meta(ROUTES.part),
        label_selector(servers.clone()),
        flows,
    )
}

fn selector(valid: &Valid, part: &str) -> BTreeMap<String, String> {
    pods::selector(part, &valid.child(part))
}
