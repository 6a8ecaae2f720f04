//! NetworkPolicy of a workload: which pods may call it, and which it may call.

use std::collections::BTreeMap;

use crds::Uses;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::{
    Valid,
    workload::{self, HTTP},
};
use crate::{
    backing::role::Role,
    network::{self, Flows, allow_from, allow_to, one},
    objects::STOREFRONT_LABEL,
    pods::{label_selector, selector},
    storefront::BUILT_IN_CLASS,
    tracing::Collector,
};

/// Standard label of the objects of a Gateway.
pub(crate) const GATEWAY_LABEL: &str = "gateway.networking.k8s.io/gateway-name";

/// Labels of pods that may connect to the shop's backing servers.
pub(super) fn client_labels(valid: &Valid) -> BTreeMap<String, String> {
    let uses = |part| valid.service.spec.uses.contains(&part);
    [
        (Role::Database, valid.uses_database),
        (Role::Bus, uses(Uses::Bus)),
        (Role::Cache, uses(Uses::Cache)),
    ]
    .into_iter()
    .filter(|(_, on)| *on)
    .map(|(role, _)| (role.client_label().to_owned(), "true".to_owned()))
    .collect()
}

/// Ingress: the gateway, and the shop's own pods. Egress: the workloads in `spec.calls`, and auth for its
/// keys. Since the egress of every pod is limited, only declared calls are possible.
pub(super) fn policy(valid: &Valid) -> NetworkPolicy {
    let spec = &valid.service.spec;
    let mut from = vec![network::pods(one(STOREFRONT_LABEL, valid.shop()))];
    if !spec.routes.is_empty() {
        from.push(network::pods(one(GATEWAY_LABEL, valid.shop())));
    }
    let foreign = valid.storefront.spec.gateway.class_name != BUILT_IN_CLASS;
    // Where another class's data plane runs is unknown, so its way in cannot be narrowed.
    let from = if foreign && !spec.routes.is_empty() {
        Vec::new()
    } else {
        from
    };
    let mut ingress = vec![allow_from(from, network::tcp_named(HTTP))];
    ingress.extend(
        spec.metrics_port
            .map(|port| allow_from(vec![network::prometheus()], network::tcp(&[port]))),
    );
    // Asks why a pod is not ready.
    let operator = network::namespace(&valid.platform.operator_namespace);
    let (port, _) = workload::endpoint(spec, workload::Kind::Readiness);
    ingress.push(allow_from(vec![operator], network::tcp(&[port])));

    let auth = format!("{}-auth", valid.shop());
    let callees = spec
        .calls
        .iter()
        .cloned()
        .chain((auth != valid.name()).then_some(auth));
    let callees: std::collections::BTreeSet<String> = callees.collect();
    let mut egress: Vec<_> = callees
        .iter()
        .map(|name| one("app.kubernetes.io/instance", name))
        .map(|labels| allow_to(vec![network::pods(labels)], network::tcp_named(HTTP)))
        .collect();
    if !spec.egress_ports.is_empty() {
        egress.push(allow_to(Vec::new(), network::tcp(&spec.egress_ports)));
    }
    egress.extend(Collector::of(&valid.storefront).map(|collector| collector.egress()));
    let pods = label_selector(selector(valid.app(), valid.name()));
    let flows = Flows {
        ingress: Some(ingress),
        egress: Some(egress),
    };
    network::policy(
        valid.scope.meta(valid.name(), valid.app(), valid.name()),
        pods,
        flows,
    )
}
