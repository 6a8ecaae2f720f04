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
    let table = Table::compile(&all, &gateway_name());
    let cluster = table.clusters().first().expect("a cluster");
    cluster
        .endpoints
        .iter()
        .map(|address| address.ip().to_string())
        .collect()
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
