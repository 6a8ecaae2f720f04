//! NetworkPolicies between a server and its clients.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer};

use super::{embedded::Embedded, role::Role};
use crate::{
    Objects, Planned,
    network::{self, Flows, allow_from, allow_to, one},
    objects::STOREFRONT_LABEL,
    pods::{label_selector, selector},
    storefront::Valid,
};

/// Plans that the clients of a role, and `also`, may connect to an embedded server on `port`.
pub(super) fn plan_embedded(
    valid: &Valid,
    objects: &mut Objects<Planned>,
    (server, role, port): (&Embedded, Role, i32),
    also: Option<NetworkPolicyPeer>,
) {
    let pods = selector(server.part, &valid.child(server.part));
    let mut from = vec![network::pods(client_labels(valid, role))];
    from.extend(also);
    let flows = Flows {
        ingress: Some(vec![allow_from(from, network::tcp(&[port]))]),
        egress: None,
    };
    let meta = valid.meta(server.part);
    objects.apply(&network::policy(meta, label_selector(pods.clone()), flows));
    let out = allow_to(vec![network::pods(pods)], network::tcp(&[port]));
    objects.apply(&clients(valid, server.part, role, out));
}

/// Plans that the clients of a role may connect to a server outside the cluster. While its port is not
/// known, the policy called `<shop>-<name>-clients` stays as it is.
pub(super) fn plan_external(
    valid: &Valid,
    objects: &mut Objects<Planned>,
    (name, role): (&str, Role),
    port: Option<i32>,
) {
    if let Some(port) = port {
        let out = allow_to(Vec::new(), network::tcp(&[port]));
        objects.apply(&clients(valid, name, role, out));
    } else {
        let name = valid.child(&format!("{name}-clients"));
        objects.keep::<NetworkPolicy>(&valid.scope.namespace, &name);
    }
}

fn clients(valid: &Valid, name: &str, role: Role, out: NetworkPolicyEgressRule) -> NetworkPolicy {
    let flows = Flows {
        ingress: None,
        egress: Some(vec![out]),
    };
    let pods = label_selector(client_labels(valid, role));
    network::policy(valid.meta(&format!("{name}-clients")), pods, flows)
}

fn client_labels(valid: &Valid, role: Role) -> BTreeMap<String, String> {
    let mut labels = one(role.client_label(), "true");
    labels.insert(STOREFRONT_LABEL.into(), valid.name().to_owned());
    labels
}
