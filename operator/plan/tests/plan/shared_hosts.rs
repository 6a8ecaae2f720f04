//! Shops with the same hostname.

use crds::Storefront;
use operator_plan::storefront::{share_a_host, shared_hosts};

use crate::fixtures::shop;

fn named(namespace: &str, name: &str, hosts: &[&str]) -> Storefront {
    let mut shop = shop("storefront.yaml");
    shop.metadata.namespace = Some(namespace.to_owned());
    shop.metadata.name = Some(name.to_owned());
    shop.spec.hostnames = hosts.iter().map(|host| (*host).to_owned()).collect();
    shop
}

#[test]
fn each_shared_hostname_is_told_with_the_first_other_shop_that_has_it() {
    let own = named("shops", "demo", &["a.example", "b.example", "c.example"]);
    let mut ending = named("shops", "ending", &["c.example"]);
    let since = serde_json::json!("2026-01-01T00:00:00Z");
    ending.metadata.deletion_timestamp = serde_json::from_value(since).expect("a time");
    let all = [
        named("shops", "z", &["a.example"]),
        named("other", "demo", &["a.example", "b.example"]),
        named("shops", "y", &["d.example"]),
        own.clone(),
        ending,
    ];
    let shared = shared_hosts(&own, &all);
    let shared: Vec<String> = shared
        .iter()
        .map(|(host, other)| format!("{host} {other}"))
        .collect();
    assert_eq!(shared, ["a.example other/demo", "b.example other/demo"]);
    assert!(!share_a_host(&own, &own.clone()));
}
