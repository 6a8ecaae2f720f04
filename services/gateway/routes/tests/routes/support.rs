use std::sync::Arc;

use gateway_routes::api::{Condition, Gateway, HTTPRoute};
use gateway_routes::certificate::{Hosts, Validity};
use gateway_routes::{CertificateState, DataPlane, ObjectName, Objects, RequestHead, Scope, Table};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

pub fn yaml<K: DeserializeOwned>(text: &str) -> Arc<K> {
    Arc::new(serde_yaml::from_str(text).expect("an object"))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("an instant")
}

pub fn gateway_name() -> ObjectName {
    ObjectName::new("shop", "demo")
}

pub fn gateway(listeners: &str) -> Arc<Gateway> {
    yaml(&format!(
        "metadata: {{name: demo, namespace: shop, generation: 1}}\n\
         spec: {{gatewayClassName: storefront, listeners: {listeners}}}"
    ))
}

pub fn route(name: &str, spec: &str) -> Arc<HTTPRoute> {
    yaml(&format!(
        "metadata: {{name: {name}, namespace: shop, generation: 1, \
         creationTimestamp: '2026-01-01T00:00:00Z'}}\nspec: {spec}"
    ))
}

/// One plain listener, the Service `web` with port 80 and one endpoint, and the Secret `tls`.
pub fn objects(routes: Vec<Arc<HTTPRoute>>) -> Objects {
    Objects {
        scope: Scope::Namespace,
        gateways: vec![gateway("[{name: http, port: 80, protocol: HTTP}]")],
        http_routes: routes,
        services: vec![yaml(
            "metadata: {name: web, namespace: shop}\n\
             spec: {ports: [{name: http, port: 80}, {name: h2c, port: 81, appProtocol: kubernetes.io/h2c}]}",
        )],
        endpoint_slices: vec![yaml(
            "metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}\n\
             addressType: IPv4\n\
             ports: [{name: http, port: 8080}]\n\
             endpoints:\n\
             - {addresses: [10.0.0.1]}\n\
             - {addresses: [10.0.0.2], conditions: {ready: false}}\n\
             - {addresses: [10.0.0.3], conditions: {ready: true, terminating: true}}\n\
             - {addresses: [10.0.0.4], conditions: {ready: true}}",
        )],
        certificates: [(ObjectName::new("shop", "tls"), usable())].into(),
        ..Objects::default()
    }
}

/// A certificate for the hosts of these tests.
pub fn usable_in(validity: Validity) -> CertificateState {
    let hosts = [
        "shop.example",
        "*.shop.example",
        "*.example.com",
        "example.com",
    ];
    CertificateState::Usable(validity, Hosts::new(hosts.map(str::to_owned)))
}

fn usable() -> CertificateState {
    usable_in(Validity {
        not_before: at(-1_000_000),
        not_after: at(1_000_000),
    })
}

pub fn plane() -> DataPlane {
    let address = gateway_routes::api::GatewayAddress {
        type_: Some("IPAddress".to_owned()),
        value: Some("10.96.0.10".to_owned()),
    };
    DataPlane {
        addresses: vec![address],
        is_available: true,
        ..DataPlane::default()
    }
}

/// `Type=Status/Reason` of each condition.
pub fn brief(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| format!("{}={}/{}", c.type_, c.status, c.reason))
        .collect()
}

/// The route that a GET of `http://host/path` on port 80 goes to.
pub fn goes_to(table: &Table, host: &str, path: &str) -> Option<String> {
    let headers = HeaderMap::new();
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    let head = RequestHead {
        host,
        path,
        query,
        method: &Method::GET,
        headers: &headers,
    };
    let matched = table.port(80)?.listener(host)?.find(&head)?;
    Some(matched.rule.route.name.clone())
}
