//! Which hosts a shop answers, asked of the routing table that the data plane serves.

use std::sync::Arc;

use crds::{OtherHosts, Storefront};
use gateway_routes::{ObjectName, Objects, RequestHead, Table, View};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use operator_plan::{Planned, service_deployment, storefront};
use serde::de::DeserializeOwned;

use crate::fixtures::{children, shop, valid_service, valid_shop};

fn decoded<K: DeserializeOwned>(items: &[Planned], kind: &str) -> Vec<Arc<K>> {
    let of_kind = items.iter().filter(|item| item.key.kind == kind);
    of_kind
        .map(|item| Arc::new(serde_json::from_value(item.body.clone()).expect(kind)))
        .collect()
}

/// What the data plane of a shop sees.
fn seen_by_data_plane(shop: &Storefront) -> Objects {
    let mut items = storefront::desired(&valid_shop(shop)).items;
    for service in children(shop) {
        items.extend(service_deployment::desired(&valid_service(&service, shop)).items);
    }
    Objects {
        gateways: decoded(&items, "Gateway"),
        http_routes: decoded(&items, "HTTPRoute"),
        jwt_policies: decoded(&items, "JwtPolicy"),
        services: decoded(&items, "Service"),
        ..Objects::default()
    }
}

/// The route that serves a GET of `/` at a host.
fn first_page(objects: &Objects, host: &str) -> Option<String> {
    let table = Table::compile(objects, &ObjectName::new("shops", "demo"));
    let headers = HeaderMap::new();
    let head = RequestHead {
        host,
        path: "/",
        query: None,
        method: &Method::GET,
        headers: &headers,
    };
    let matched = table.port(80)?.listener(host)?.find(&head)?;
    Some(matched.rule.route.name.clone())
}

fn demo(other_hosts: OtherHosts) -> Storefront {
    let mut shop = shop("storefront.yaml");
    shop.spec.gateway.other_hosts = other_hosts;
    shop
}

#[test]
fn a_shop_that_accepts_other_hosts_serves_its_pages_at_any_host() {
    let objects = seen_by_data_plane(&demo(OtherHosts::Accept));
    for host in [
        "demo.localhost",
        "127.0.0.1",
        "localhost",
        "another.example",
    ] {
        let served = first_page(&objects, host);
        assert_eq!(served.as_deref(), Some("demo-web-public"), "{host}");
    }
}

#[test]
fn a_shop_that_refuses_other_hosts_serves_listed_ones_only() {
    let objects = seen_by_data_plane(&demo(OtherHosts::Refuse));
    assert!(first_page(&objects, "demo.localhost").is_some());
    for host in ["127.0.0.1", "localhost", "another.example"] {
        assert_eq!(first_page(&objects, host), None, "{host}");
    }
}

#[test]
fn every_route_is_accepted_whatever_happens_to_other_hosts() {
    for other_hosts in [OtherHosts::Accept, OtherHosts::Refuse] {
        let objects = seen_by_data_plane(&demo(other_hosts));
        let view = View::new(&objects);
        assert!(!objects.http_routes.is_empty());
        for route in &objects.http_routes {
            let status = view.route_status(route, Timestamp::UNIX_EPOCH);
            let [parent] = status.parents.as_slice() else {
                panic!("{:?} has one gateway", route.metadata.name);
            };
            for condition in &parent.conditions {
                let name = &route.metadata.name;
                assert_eq!(condition.status, "True", "{name:?}: {condition:?}");
            }
        }
    }
}
