//! The data plane without a cluster, for measurements: one HTTP listener, one Service, and as many
//! routes as wanted on one host. `serve_static PORT BACKEND ROUTES [FLAGS OF gateway serve]`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use gateway::config::{Command, Config};
use gateway::{Gateway, LogSink};
use gateway_routes::{ObjectName, Objects};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn object<K: DeserializeOwned>(name: &str, mut value: Value) -> anyhow::Result<Arc<K>> {
    value["metadata"]["name"] = json!(name);
    value["metadata"]["namespace"] = json!("shop");
    Ok(Arc::new(serde_json::from_value(value)?))
}

fn objects(port: u16, backend: std::net::SocketAddr, routes: usize) -> anyhow::Result<Objects> {
    let listener = json!({"name": "http", "port": port, "protocol": "HTTP"});
    let slice = json!({
        "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": backend.port()}],
        "endpoints": [{"addresses": [backend.ip().to_string()]}],
    });
    let route = |number: usize| {
        let path = if number == 0 {
            "/".to_owned()
        } else {
            format!("/route/{number}")
        };
        let rule = json!({"matches": [{"path": {"value": path}}],
            "backendRefs": [{"name": "web", "port": 80}]});
        let spec = json!({"parentRefs": [{"name": "demo"}], "rules": [rule]});
        object(&format!("route-{number}"), json!({"spec": spec}))
    };
    Ok(Objects {
        gateways: vec![object("demo", json!({"spec": {"listeners": [listener]}}))?],
        http_routes: (0..routes).map(route).collect::<anyhow::Result<_>>()?,
        services: vec![object(
            "web",
            json!({"spec": {"ports": [{"name": "http", "port": 80}]}}),
        )?],
        endpoint_slices: vec![object("web-1", slice)?],
        ..Objects::default()
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("serve_static PORT BACKEND ROUTES");
    let (port, backend, routes) = (
        argument()?.parse()?,
        argument()?.parse()?,
        argument()?.parse()?,
    );
    let name = [
        "gateway",
        "serve",
        "--gateway-namespace",
        "shop",
        "--gateway-name",
        "demo",
    ];
    let flags = name.into_iter().map(str::to_owned).chain(arguments);
    let Command::Serve(Config {
        limits, drain_secs, ..
    }) = Command::parse_from(flags);
    let wants_lines = limits.access_log;
    let mut gateway = Gateway::start(
        ObjectName::new("shop", "demo"),
        limits,
        Duration::from_secs(drain_secs),
        |metrics| {
            if wants_lines {
                LogSink::start(std::io::stdout(), metrics)
            } else {
                Ok(LogSink::none(metrics))
            }
        },
    )?;
    let objects = objects(port, backend, routes)?;
    let started = Instant::now();
    gateway.publish(objects, &BTreeMap::new())?;
    eprintln!("{routes} routes compiled in {:?}", started.elapsed());
    tokio::signal::ctrl_c().await?;
    gateway.drain().await
}
