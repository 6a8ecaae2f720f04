//! Who may talk to whom in a shop. Each ServiceDeployment and each Gateway adds a policy of its own.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer};

use super::{
    METRICS_PORT, Server as Location, Valid,
    bus_cluster::{ROUTES, ROUTES_PORT},
    cache,
};
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
        Location::Embedded => {
            // The operator administers the server; its namespace holds nothing but the platform.
            let operator = network::namespace(&valid.platform.operator_namespace);
            let postgres = Server {
                part: "postgres",
                number: 5432,
                client: DATABASE_CLIENT,
                extra: Some(operator),
            };
            server(valid, objects, postgres);
        }
        Location::External { admin_secret } if valid.lacks(&admin_secret) => {
            // Which port to open is not known.
            let name = valid.child("database-clients");
            objects.keep::<NetworkPolicy>(&valid.scope.namespace, &name);
        }
        Location::External { .. } => {
            let rule = allow_to(Vec::new(), network::tcp(&[external_port(valid)]));
            objects.apply(&clients(valid, "database", DATABASE_CLIENT, rule));
        }
    }
    if valid.bus_is_cluster() {
        objects.apply(&bus_servers(valid));
    }
    let bus = ("nats", 4222, BUS_CLIENT);
    let redis = ("redis", 6379, CACHE_CLIENT);
    let external = valid.external_cache();
    for (part, number, client) in [Some(bus), external.is_none().then_some(redis)]
        .into_iter()
        .flatten()
    {
        let extra = None;
        server(
            valid,
            objects,
            Server {
                part,
                number,
                client,
                extra,
            },
        );
    }
    if let Some((_, data)) = external {
        if let Some(address) = data.and_then(cache::address) {
            let rule = allow_to(Vec::new(), network::tcp(&[i32::from(address.port)]));
            objects.apply(&clients(valid, "cache", CACHE_CLIENT, rule));
        } else {
            // Which port to open is not known.
            let name = valid.child("cache-clients");
            objects.keep::<NetworkPolicy>(&valid.scope.namespace, &name);
        }
    }
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

/// The bus's servers among themselves, and nobody else, on the port of their routes.
fn bus_servers(valid: &Valid) -> NetworkPolicy {
    let servers = selector("nats", &valid.child("nats"));
    let peers = || vec![network::pods(servers.clone())];
    let port = || network::tcp(&[ROUTES_PORT]);
    let flows = Flows {
        ingress: Some(vec![allow_from(peers(), port())]),
        egress: Some(vec![allow_to(peers(), port())]),
    };
    network::policy(meta(valid, ROUTES), label_selector(servers.clone()), flows)
}

/// A server of the shop, and the label of the pods that may reach it.
struct Server {
    part: &'static str,
    number: i32,
    client: &'static str,
    /// Somebody else who may reach it.
    extra: Option<NetworkPolicyPeer>,
}

/// A server lets its clients in, and they may go out to it.
fn server(valid: &Valid, objects: &mut Objects<Planned>, server: Server) {
    let Server {
        part,
        number,
        client,
        extra,
    } = server;
    let pods = selector(part, &valid.child(part));
    let mut from = vec![network::pods(client_labels(valid, client))];
    from.extend(extra);
    let flows = Flows {
        ingress: Some(vec![allow_from(from, network::tcp(&[number]))]),
        egress: None,
    };
    let policy = network::policy(meta(valid, part), label_selector(pods.clone()), flows);
    objects.apply(&policy);
    let rule = allow_to(vec![network::pods(pods)], network::tcp(&[number]));
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
