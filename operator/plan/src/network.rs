//! NetworkPolicies: everything is denied, then each known flow is allowed by name.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use crate::pods::label_selector;

/// Rules of a policy by direction; `None` does not restrict that direction.
#[derive(Default)]
pub(crate) struct Flows {
    pub(crate) ingress: Option<Vec<NetworkPolicyIngressRule>>,
    pub(crate) egress: Option<Vec<NetworkPolicyEgressRule>>,
}

/// A policy for the pods with these labels.
pub(crate) fn policy(meta: ObjectMeta, pods: LabelSelector, flows: Flows) -> NetworkPolicy {
    let types = [
        ("Ingress", flows.ingress.is_some()),
        ("Egress", flows.egress.is_some()),
    ];
    NetworkPolicy {
        metadata: meta,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(
                types
                    .into_iter()
                    .filter(|(_, on)| *on)
                    .map(|(t, _)| t.to_owned())
                    .collect(),
            ),
            // An empty list means the same as none, and the API server stores none.
            ingress: flows.ingress.filter(|rules| !rules.is_empty()),
            egress: flows.egress.filter(|rules| !rules.is_empty()),
        }),
    }
}

/// Pods of the same namespace.
pub(crate) fn pods(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(label_selector(labels)),
        ..NetworkPolicyPeer::default()
    }
}

/// Every pod of the same namespace.
pub(crate) fn neighbours() -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    }
}

/// Pods with these labels in every namespace.
pub(crate) fn pods_anywhere(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(label_selector(labels)),
        ip_block: None,
    }
}

/// Every pod of one namespace.
pub(crate) fn namespace(name: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(label_selector(one("kubernetes.io/metadata.name", name))),
        ..NetworkPolicyPeer::default()
    }
}

/// A map of one label.
pub(crate) fn one(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// TCP ports by number.
pub(crate) fn tcp(ports: &[i32]) -> Vec<NetworkPolicyPort> {
    ports
        .iter()
        .map(|port| on("TCP", IntOrString::Int(*port)))
        .collect()
}

/// A TCP port by its name in the pod.
pub(crate) fn tcp_named(port: &str) -> Vec<NetworkPolicyPort> {
    vec![on("TCP", IntOrString::String(port.to_owned()))]
}

fn on(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(port),
        end_port: None,
    }
}

/// Allows `from` to reach `ports`; an empty list means every peer or every port.
pub(crate) fn allow_from(
    from: Vec<NetworkPolicyPeer>,
    ports: Vec<NetworkPolicyPort>,
) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: (!from.is_empty()).then_some(from),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

/// Allows egress to `ports` of `to`; an empty list means every peer or every port.
pub(crate) fn allow_to(
    to: Vec<NetworkPolicyPeer>,
    ports: Vec<NetworkPolicyPort>,
) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: (!to.is_empty()).then_some(to),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

/// DNS, wherever the cluster's resolver runs.
pub(crate) fn dns() -> NetworkPolicyEgressRule {
    let port = |protocol| on(protocol, IntOrString::Int(53));
    allow_to(Vec::new(), vec![port("UDP"), port("TCP")])
}

/// Every pod with Prometheus' name label, in any namespace.
pub(crate) fn prometheus() -> NetworkPolicyPeer {
    pods_anywhere(one("app.kubernetes.io/name", "prometheus"))
}
