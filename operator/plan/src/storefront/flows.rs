//! Who may talk to whom in a shop. Each ServiceDeployment and each Gateway adds a policy of its own.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule};

use super::{METRICS_PORT, Server, Valid};
use crate::{
    Objects, Planned,
    network::{self, Flows, allow_from, allow_to, one},
    objects::STOREFRONT_LABEL,
    pods::{label_selector, selector},
};

/// Label of pods that may reach the database server.
pub(crate) const DATABASE_CLIENT: &str = "storefront.dev/uses-database";
/// Label of pods that may reach the event bus.
pub(crate) const BUS_CLIENT: &str = "storefront.dev/uses-bus";
/// Label of pods that may reach the cache.
pub(crate) const CACHE_CLIENT: &str = "storefront.dev/uses-cache";

/// Plans the shop's policies.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    objects.apply(&default_deny(valid));
    objects.apply(&basics(valid));
    match valid.server() {
        Server::Embedded => {
            // The operator administers the server; its namespace holds nothing but the platform.
            let extra = Some(network::namespace(&valid.platform.operator_namespace));
            server(valid, objects, "postgres", 5432, DATABASE_CLIENT, extra);
        }
        Server::External { .. } => {
            let port = external_port(valid);
            let rule = allow_to(Vec::new(), network::tcp(&[port]));
            objects.apply(&clients(valid, "database", DATABASE_CLIENT, rule));
        }
    }
    server(valid, objects, "nats", 4222, BUS_CLIENT, None);
    server(valid, objects, "redis", 6379, CACHE_CLIENT, None);
}

fn meta(valid: &Valid, part: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    let name = valid.child(part);
    valid.scope.meta(&name, part, &name)
}

/// Nothing goes in or out of the shop's pods, unless another policy says so.
fn default_deny(valid: &Valid) -> NetworkPolicy {
    let shop = label_selector(one(STOREFRONT_LABEL, valid.name()));
    let flows = Flows {
        ingress: Some(Vec::new()),
        egress: Some(Vec::new()),
    };
    network::policy(meta(valid, "default-deny"), shop, flows)
}

/// Every pod of the shop may ask for names, and may be asked for metrics.
fn basics(valid: &Valid) -> NetworkPolicy {
    let shop = label_selector(one(STOREFRONT_LABEL, valid.name()));
    let scrape = allow_from(vec![network::prometheus()], network::tcp(&[METRICS_PORT]));
    let flows = Flows {
        ingress: Some(vec![scrape]),
        egress: Some(vec![network::dns()]),
    };
    network::policy(meta(valid, "basics"), shop, flows)
}

/// A server lets its clients in, and they may go out to it.
fn server(
    valid: &Valid,
    objects: &mut Objects<Planned>,
    part: &str,
    port: i32,
    client: &str,
    extra: Option<k8s_openapi::api::networking::v1::NetworkPolicyPeer>,
) {
    let pods = selector(part, &valid.child(part));
    let mut from = vec![network::pods(client_labels(valid, client))];
    from.extend(extra);
    let ingress = Some(vec![allow_from(from, network::tcp(&[port]))]);
    let flows = Flows {
        ingress,
        egress: None,
    };
    objects.apply(&network::policy(
        meta(valid, part),
        label_selector(pods.clone()),
        flows,
    ));
    let rule = allow_to(vec![network::pods(pods)], network::tcp(&[port]));
    objects.apply(&clients(valid, part, client, rule));
}

fn clients(
    valid: &Valid,
    part: &str,
    client: &str,
    rule: NetworkPolicyEgressRule,
) -> NetworkPolicy {
    let pods = label_selector(client_labels(valid, client));
    let flows = Flows {
        ingress: None,
        egress: Some(vec![rule]),
    };
    network::policy(meta(valid, &format!("{part}-clients")), pods, flows)
}

fn client_labels(valid: &Valid, client: &str) -> std::collections::BTreeMap<String, String> {
    let mut labels = one(client, "true");
    labels.insert(STOREFRONT_LABEL.into(), valid.name().to_owned());
    labels
}

fn external_port(valid: &Valid) -> i32 {
    valid
        .external_data()
        .and_then(|data| {
            std::str::from_utf8(data.get("port")?)
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or(5432)
}
