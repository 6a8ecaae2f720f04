//! A data plane, its objects and its backends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use gateway::config::{Command, Limits};
use gateway::{Gateway, LogSink};
use gateway_routes::{ObjectName, Objects};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use k8s_openapi::api::core::v1::Secret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const NAMESPACE: &str = "shop";
pub const GATEWAY: &str = "demo";

/// A port that nobody listens on. Not from the range the kernel gives out by itself, and each only
/// once, since listeners here share ports on purpose.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 14_000 + u16::try_from(std::process::id() % 150).expect("small") * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 3_000;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something holds, with a bound.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let until = Instant::now() + Duration::from_secs(10);
    while !check().await {
        assert!(Instant::now() < until, "{what}: not within ten seconds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A running data plane with its objects.
pub struct Rig {
    pub gateway: Gateway,
    pub objects: Objects,
    pub secrets: BTreeMap<ObjectName, Arc<Secret>>,
    pub log: Arc<Mutex<Vec<u8>>>,
    pub port: u16,
    /// Of the Gateway; they are taken over by `listeners`.
    pub annotations: Value,
}

#[derive(Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn limits(flags: &[&str]) -> Limits {
    let base = [
        "gateway",
        "serve",
        "--gateway-namespace",
        NAMESPACE,
        "--gateway-name",
        GATEWAY,
    ];
    let ours = ["--bind-address", "127.0.0.1"];
    let Command::Serve(config) = Command::parse_from(base.iter().chain(&ours).chain(flags));
    let workers = if config.limits.workers == 0 {
        2
    } else {
        config.limits.workers
    };
    Limits {
        workers,
        ..config.limits
    }
}

fn object<K: DeserializeOwned>(value: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(value).expect("an object"))
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "creationTimestamp": "2026-01-01T00:00:00Z"})
}

impl Rig {
    /// A data plane with one HTTP listener on `self.port`.
    pub fn start(flags: &[&str]) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Log(log.clone());
        let name = ObjectName::new(NAMESPACE, GATEWAY);
        let drain = Duration::from_secs(4);
        let gateway = Gateway::start(name, limits(flags), drain, |metrics| {
            LogSink::start(sink, metrics)
        })
        .expect("a gateway");
        let port = free_port();
        let mut rig = Self {
            gateway,
            objects: Objects::default(),
            secrets: BTreeMap::new(),
            log,
            port,
            annotations: Value::Null,
        };
        rig.listeners(json!([{"name": "http", "port": port, "protocol": "HTTP"}]));
        rig
    }

    pub fn listeners(&mut self, listeners: Value) {
        let spec = json!({"gatewayClassName": "storefront", "listeners": listeners});
        let mut metadata = metadata(GATEWAY);
        metadata["annotations"] = self.annotations.clone();
        self.objects.gateways = vec![object(json!({"metadata": metadata, "spec": spec}))];
    }

    /// Adds or replaces a route; `rules` as in the YAML.
    pub fn route(&mut self, name: &str, rules: Value) {
        self.route_spec(name, json!({"rules": rules}));
    }

    pub fn route_spec(&mut self, name: &str, mut spec: Value) {
        spec["parentRefs"] = json!([{"name": GATEWAY}]);
        self.objects
            .http_routes
            .retain(|route| route.metadata.name.as_deref() != Some(name));
        let route = json!({"metadata": metadata(name), "spec": spec});
        self.objects.http_routes.push(object(route));
    }

    /// A Service with one EndpointSlice for each address.
    pub fn service(&mut self, name: &str, addresses: &[SocketAddr]) {
        let spec = json!({"ports": [{"name": "http", "port": 80}]});
        self.objects
            .services
            .retain(|service| service.metadata.name.as_deref() != Some(name));
        self.objects
            .services
            .push(object(json!({"metadata": metadata(name), "spec": spec})));
        self.objects.endpoint_slices.retain(|slice| {
            let labels = slice.metadata.labels.as_ref().expect("labels");
            labels["kubernetes.io/service-name"] != name
        });
        for (index, address) in addresses.iter().enumerate() {
            let mut metadata = metadata(&format!("{name}-{index}"));
            metadata["labels"] = json!({"kubernetes.io/service-name": name});
            self.objects.endpoint_slices.push(object(json!({
                "metadata": metadata,
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": address.port()}],
                "endpoints": [{"addresses": [address.ip().to_string()], "conditions": {"ready": true}}],
            })));
        }
    }

    /// Puts the objects in force and waits until every worker serves them.
    pub async fn publish(&mut self) {
        let generation = self
            .gateway
            .publish(self.objects.clone(), &self.secrets)
            .expect("published");
        let shared = self.gateway.shared();
        eventually("the table is in force", || async {
            shared.serves(generation)
        })
        .await;
    }

    /// Everything to one backend.
    pub async fn simple(flags: &[&str]) -> (Self, Backend) {
        let backend = Backend::start("one").await;
        let mut rig = Self::start(flags);
        rig.service("one", &[backend.address]);
        rig.route(
            "all",
            json!([{"backendRefs": [{"name": "one", "port": 80}]}]),
        );
        rig.publish().await;
        (rig, backend)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The value of a series, 0 when it is not there.
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.gateway.shared().metrics.render().expect("metrics");
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// The access line of a request id, once it is written.
    pub async fn line(&self, request_id: &str) -> Value {
        let found = Mutex::new(Value::Null);
        eventually("the access line", || async {
            let log = String::from_utf8(self.log.lock().expect("the log").clone()).expect("text");
            let line = log
                .lines()
                .find(|line| line.contains(request_id))
                .map(str::to_owned);
            let is_there = line.is_some();
            if let Some(line) = line {
                *found.lock().expect("line") = serde_json::from_str(&line).expect("JSON");
            }
            is_there
        })
        .await;
        found.into_inner().expect("line")
    }
}

/// A policy of ours.
pub fn policy<K: DeserializeOwned>(name: &str, spec: Value) -> Arc<K> {
    object(json!({
        "apiVersion": "storefront.dev/v1alpha1",
        "kind": "Policy",
        "metadata": metadata(name),
        "spec": spec,
    }))
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}

/// A client that uses each connection once.
pub fn fresh_client() -> reqwest::Client {
    reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}

pub async fn json(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}

/// A backend that answers with what it was asked.
pub struct Backend {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    pub requests: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Backend {
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(name: &str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let backend = Self {
            address: listener.local_addr().expect("an address"),
            connections: Arc::default(),
            requests: Arc::default(),
            stop: CancellationToken::new(),
        };
        let (stop, connections) = (backend.stop.clone(), backend.connections.clone());
        let (name, requests) = (name.to_owned(), backend.requests.clone());
        tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let stream = tokio::select! {
                    () = stop.cancelled() => break,
                    accepted = listener.accept() => accepted.expect("accepted").0,
                };
                connections.fetch_add(1, Ordering::Relaxed);
                let (name, requests, stop) = (name.clone(), requests.clone(), stop.clone());
                open.spawn(async move {
                    let service = service_fn(move |request| {
                        requests.fetch_add(1, Ordering::Relaxed);
                        echo(name.clone(), request)
                    });
                    let builder = Builder::new(TokioExecutor::new());
                    let serving =
                        builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    let mut serving = std::pin::pin!(serving);
                    tokio::select! {
                        _ = serving.as_mut() => return,
                        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
                    }
                    let _ = serving.await;
                });
            }
            drop(listener);
            while open.join_next().await.is_some() {}
        });
        backend
    }

    /// As a pod does on SIGTERM: no new connections, requests in work are finished.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

async fn echo(
    name: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let query = |key: &str| {
        let query = parts.uri.query().unwrap_or_default();
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
            .map(str::to_owned)
    };
    if let Some(pause) = query("sleep_ms") {
        tokio::time::sleep(Duration::from_millis(pause.parse().expect("a number"))).await;
    }
    let status = query("status").map_or(200, |status| status.parse().expect("a number"));
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    let answer = json!({
        "backend": name,
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "length": length,
    });
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
        .headers_mut()
        .insert("x-backend", name.parse().expect("a value"));
    Ok(response)
}

/// Sends bytes as they are and reads until the other side is done or quiet.
pub async fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect((IpAddr::from([127, 0, 0, 1]), port))
        .await
        .expect("connected");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = tokio::time::timeout(Duration::from_millis(700), stream.read(&mut buffer)).await;
        match read {
            Ok(Ok(0) | Err(_)) | Err(_) => break,
            Ok(Ok(count)) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status codes of all answers in a raw exchange.
pub fn statuses(answer: &str) -> Vec<u16> {
    answer
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| answer.get(at + 9..at + 12)?.parse().ok())
        .collect()
}
