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

fn with_tls(tls: serde_json::Value) -> Storefront {
    let mut shop = shop("storefront.yaml");
    shop.spec.gateway.tls = serde_json::from_value(tls).expect("TLS");
    shop
}

fn annotations(shop: &Storefront) -> std::collections::BTreeMap<String, String> {
    let items = storefront::desired(&valid_shop(shop)).items;
    let gateway = decoded::<gateway_routes::api::Gateway>(&items, "Gateway").remove(0);
    let mut all = gateway.metadata.annotations.clone().unwrap_or_default();
    let others = ["storefront.dev/version", "storefront.dev/own-routes"];
    all.retain(|name, _| !others.contains(&name.as_str()));
    all
}

#[test]
fn the_data_plane_is_told_of_redirects_and_trusted_proxies() {
    let pairs = |all: std::collections::BTreeMap<String, String>| {
        all.into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert!(annotations(&demo(OtherHosts::Refuse)).is_empty());
    let own = serde_json::json!({ "selfSigned": {} });
    assert_eq!(
        pairs(annotations(&with_tls(own.clone()))),
        ["storefront.dev/https-redirect=true"]
    );
    let mut quiet = with_tls(serde_json::json!({ "selfSigned": {}, "redirect": false,
        "hsts": { "maxAgeSecs": 600, "includeSubdomains": true } }));
    quiet.spec.gateway.trusted_hops = 2;
    assert_eq!(
        pairs(annotations(&quiet)),
        [
            "storefront.dev/hsts=max-age=600; includeSubDomains",
            "storefront.dev/trusted-hops=2"
        ]
    );
    let mut foreign = with_tls(own);
    foreign.spec.gateway.class_name = "istio".into();
    foreign.spec.gateway.rate_limits.clear();
    assert!(annotations(&foreign).is_empty());
}

#[test]
fn issuer_and_administrator_stay_when_scheme_and_names_change() {
    let told = |shop: &Storefront| {
        let items = storefront::desired(&valid_shop(shop)).items;
        let admin = items.iter().find(|item| item.key.name == "demo-admin");
        let email = admin.expect("the Secret").body["data"]["email"].clone();
        let mut issuers: Vec<String> = children(shop)
            .iter()
            .flat_map(|service| {
                let items = service_deployment::desired(&valid_service(service, shop)).items;
                decoded::<crds::JwtPolicy>(&items, "JwtPolicy")
            })
            .map(|policy| policy.spec.issuer.clone())
            .collect();
        issuers.dedup();
        (issuers, email)
    };
    let mut shop = shop("storefront.yaml");
    let before = told(&shop);
    assert_eq!(before.0, ["http://demo.localhost"]);
    shop.status = Some(crds::StorefrontStatus {
        issuer: Some("http://demo.localhost".into()),
        ..crds::StorefrontStatus::default()
    });
    shop.spec.hostnames.insert(0, "new.example".into());
    shop.spec.gateway.tls = with_tls(serde_json::json!({ "selfSigned": {} }))
        .spec
        .gateway
        .tls;
    assert_eq!(told(&shop), before);
    shop.spec.admin = Some(crds::storefront::Admin {
        email: "owner@acme.example".into(),
    });
    let named = told(&shop).1;
    assert_ne!(named, before.1);
    assert_eq!(named, serde_json::json!("b3duZXJAYWNtZS5leGFtcGxl"));
}

#[test]
fn links_in_mails_and_pages_have_the_scheme_that_visitors_use() {
    let links = |shop: &Storefront| {
        let writers = ["demo-notification", "demo-web"].map(|name| {
            let mut services = children(shop).into_iter();
            let service = services.find(|it| it.metadata.name.as_deref() == Some(name));
            let service = service.expect("a service of the shop");
            let items = service_deployment::desired(&valid_service(&service, shop)).items;
            let pods = items.iter().find(|item| item.key.kind == "Deployment");
            let container = &pods.expect("pods").body["spec"]["template"]["spec"]["containers"][0];
            let env = container["env"].as_array().expect("variables").iter();
            let mut url = env.filter(|variable| variable["name"] == "SHOP_URL");
            url.next().expect("a URL")["value"].clone()
        });
        let [mails, pages] = writers;
        assert_eq!(mails, pages);
        mails
    };
    assert_eq!(links(&shop("storefront.yaml")), "http://demo.localhost");
    for tls in [
        serde_json::json!({ "selfSigned": {} }),
        serde_json::json!({ "selfSigned": {}, "redirect": false }),
        serde_json::json!({ "secretRef": { "name": "demo-tls" } }),
        serde_json::json!({ "issuerRef": { "name": "letsencrypt" } }),
    ] {
        let mut secure = with_tls(tls.clone());
        // The issuer of tokens stays what it was before; links do not.
        secure.status = Some(crds::StorefrontStatus {
            issuer: Some("http://demo.localhost".into()),
            ..crds::StorefrontStatus::default()
        });
        assert_eq!(links(&secure), "https://demo.localhost", "{tls}");
    }
}
