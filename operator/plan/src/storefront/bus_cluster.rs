//! What a bus of three servers needs beyond that of one: names that find each server, a password
//! between them, and nodes and evictions that do not take two at a time.

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{
            ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, PodSpec, Service, ServiceSpec,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::Valid;
use crate::{Objects, Planned, pods};

/// Port between the servers.
pub(super) const ROUTES_PORT: i32 = 6222;
/// End of the names of the headless Service and of the Secret with the servers' password.
pub(super) const ROUTES: &str = "nats-routes";
/// The servers' user among themselves.
const ROUTES_USER: &str = "server";

/// Plans the names of the servers, and the budget that keeps a majority.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let name = valid.child(ROUTES);
    let mut service = pods::service(
        valid.scope.meta(&name, ROUTES, &name),
        selector(valid),
        &[("routes", ROUTES_PORT, "routes")],
    );
    if let Some(spec) = service.spec.as_mut() {
        find_each(spec);
    }
    objects.apply::<Service>(&service);
    let name = valid.child("nats");
    objects.apply(&PodDisruptionBudget {
        metadata: valid.scope.meta(&name, "nats", &name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(label_selector(valid)),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    });
}

/// One name for each server, and before it is ready: servers become ready by finding each other.
fn find_each(spec: &mut ServiceSpec) {
    spec.cluster_ip = Some("None".into());
    spec.publish_not_ready_addresses = Some(true);
}

/// Turns the set of one server into one of several.
pub(super) fn grow(valid: &Valid, set: &mut StatefulSet) {
    let Some(spec) = set.spec.as_mut() else {
        return;
    };
    spec.replicas = Some(valid.bus_servers());
    spec.service_name = Some(valid.child(ROUTES));
    if let Some(pod) = spec.template.spec.as_mut() {
        join(valid, pod);
    }
}

fn join(valid: &Valid, pod: &mut PodSpec) {
    pod.topology_spread_constraints = Some(pods::spread(&label_selector(valid), None));
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
    container.ports.get_or_insert_default().push(ContainerPort {
        name: Some("routes".into()),
        container_port: ROUTES_PORT,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    });
    // Three ask for less each than one does alone.
    container.resources = Some(pods::resources("25m", "48Mi", "256Mi"));
}

/// The part of a server's configuration that is about the others. Clients are told of none of them:
/// the Service knows who is ready.
pub(super) fn config(valid: &Valid, password: &str) -> String {
    let (name, domain) = (valid.child("nats"), valid.child(ROUTES));
    let namespace = &valid.scope.namespace;
    let route = |index| {
        format!(
            "    \"nats-route://{ROUTES_USER}:{password}@{name}-{index}.{domain}.{namespace}.svc:{ROUTES_PORT}\"\n"
        )
    };
    let routes: String = (0..valid.bus_servers()).map(route).collect();
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

fn selector(valid: &Valid) -> std::collections::BTreeMap<String, String> {
    pods::selector("nats", &valid.child("nats"))
}

fn label_selector(valid: &Valid) -> LabelSelector {
    pods::label_selector(selector(valid))
}
