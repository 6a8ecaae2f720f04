use gateway_routes::{Objects, Table};

use crate::support::{gateway_name, objects, route, yaml};

fn addresses(endpoints: &str) -> Vec<String> {
    let mut all: Objects = objects(vec![route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}]}]}",
    )]);
    all.endpoint_slices = vec![yaml(&format!(
        "metadata: {{name: web-1, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints: [{endpoints}]"
    ))];
    compiled(&all)
}

fn compiled(all: &Objects) -> Vec<String> {
    let table = Table::compile(all, &gateway_name());
    let cluster = table.clusters().first().expect("a cluster");
    cluster
        .endpoints
        .iter()
        .map(|address| address.ip().to_string())
        .collect()
}

/// The addresses of a Service with these families whose two pods are listed in a slice of each of `types`.
fn of_families(families: &str, types: &[&str]) -> Vec<String> {
    let mut all: Objects = objects(vec![route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}]}]}",
    )]);
    all.services = vec![yaml(&format!(
        "metadata: {{name: web, namespace: shop}}\n\
         spec: {{ipFamilies: {families}, ports: [{{name: http, port: 80}}]}}"
    ))];
    let slice = |family: &&str| {
        let net = if *family == "IPv4" {
            "10.0.0."
        } else {
            "fd00::"
        };
        yaml(&format!(
            "metadata: {{name: web-{family}, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}\n\
             addressType: {family}\nports: [{{name: http, port: 8080}}]\n\
             endpoints: [{{addresses: ['{net}1']}}, {{addresses: ['{net}2']}}]"
        ))
    };
    all.endpoint_slices = types.iter().map(slice).collect();
    compiled(&all)
}

const READY: &str =
    "{addresses: [10.0.0.1], conditions: {ready: true, serving: true, terminating: false}}";
const ENDING: &str =
    "{addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}";
const DEAF: &str =
    "{addresses: [10.0.0.3], conditions: {ready: false, serving: false, terminating: true}}";
const STARTING: &str =
    "{addresses: [10.0.0.4], conditions: {ready: false, serving: false, terminating: false}}";

#[test]
fn a_pod_that_still_serves_while_it_ends_is_used_only_when_no_other_is_ready() {
    assert_eq!(addresses(&[READY, ENDING, DEAF].join(",")), ["10.0.0.1"]);
    assert_eq!(addresses(&[ENDING, DEAF, STARTING].join(",")), ["10.0.0.2"]);
    assert!(addresses(&[DEAF, STARTING].join(",")).is_empty());
    assert!(addresses("").is_empty());
}

#[test]
fn a_pod_with_an_address_of_each_family_is_one_endpoint_by_the_first_family_of_its_service() {
    let both = ["IPv6", "IPv4"];
    let (v4, v6) = (["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]);
    assert_eq!(of_families("[IPv4, IPv6]", &both), v4);
    assert_eq!(of_families("[IPv6, IPv4]", &both), v6);
    assert_eq!(of_families("[IPv6]", &["IPv6"]), v6);
    // Slices that somebody made by hand, of a family that the Service does not have.
    assert_eq!(of_families("[IPv4]", &["IPv6"]), v6);
    assert_eq!(of_families("[]", &both), [v4, v6].concat());
}
