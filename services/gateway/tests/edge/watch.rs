//! The watch layer against an API server that lists, streams, lies and goes away.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use gateway::{Gateway, LogSink};
use gateway_routes::ObjectName;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::support::{Backend, GATEWAY, NAMESPACE, client, eventually, free_port, limits};
use crate::tls::{connector, get, issue};

/// Objects by resource and name, and everything that happens to them.
#[derive(Clone)]
struct Api {
    objects: Arc<Mutex<HashMap<(String, String), Value>>>,
    events: broadcast::Sender<(String, Value)>,
    asked: Arc<Mutex<Vec<String>>>,
    is_down: Arc<Mutex<bool>>,
    /// Resources that the cluster does not have.
    missing: Arc<Mutex<Vec<&'static str>>>,
    /// Changes when history is lost: then watches from before it are told to list again.
    version: Arc<AtomicU64>,
    /// Version of the next object.
    made: Arc<AtomicU64>,
}

impl Api {
    async fn start() -> (Self, String) {
        let api = Self {
            objects: Arc::default(),
            events: broadcast::Sender::new(64),
            asked: Arc::default(),
            is_down: Arc::default(),
            missing: Arc::default(),
            version: Arc::new(AtomicU64::new(7)),
            made: Arc::new(AtomicU64::new(100)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = serving.clone();
                let service = service_fn(move |request| {
                    let answered = answer(&api, &request);
                    async move { Ok::<_, Infallible>(answered) }
                });
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        (api, url)
    }

    fn put(&self, resource: &str, name: &str, mut object: Value) {
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(NAMESPACE);
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        object["metadata"]["resourceVersion"] = json!(made.to_string());
        let key = (resource.to_owned(), name.to_owned());
        let old = self
            .objects
            .lock()
            .expect("objects")
            .insert(key, object.clone());
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        // Nobody may be watching yet.
        let _ = self
            .events
            .send((resource.to_owned(), json!({"type": kind, "object": object})));
    }

    /// Ends all watches and answers nothing until it is up again, without its history.
    fn down(&self, is_down: bool) {
        self.version.fetch_add(1, Ordering::Relaxed);
        *self.is_down.lock().expect("state") = is_down;
        let _ = self.events.send((String::new(), Value::Null));
    }
}

type Body = BoxBody<Bytes, Infallible>;

fn whole(status: StatusCode, body: &Value) -> Response<Body> {
    let body = http_body_util::Full::from(body.to_string()).boxed();
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .expect("a response")
}

fn answer(api: &Api, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_watch = query.contains("watch=true");
    let verb = if is_watch { "watch" } else { "list" };
    let resource = path.rsplit('/').next().unwrap_or_default().to_owned();
    api.asked
        .lock()
        .expect("asked")
        .push(format!("{} {verb} {resource} {query}", request.method()));
    if *api.is_down.lock().expect("state") || request.method() != Method::GET {
        return whole(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"kind": "Status", "code": 503}),
        );
    }
    if api.missing.lock().expect("missing").contains(&&*resource) {
        return whole(
            StatusCode::NOT_FOUND,
            &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404}),
        );
    }
    let version = api.version.load(Ordering::Relaxed).to_string();
    let named = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
    let named = named.map(str::to_owned);
    let fits = move |object: &Value| {
        named
            .as_ref()
            .is_none_or(|name| object["metadata"]["name"] == json!(name))
    };
    if !is_watch {
        let objects = api.objects.lock().expect("objects");
        let items: Vec<&Value> = objects
            .iter()
            .filter(|((kind, _), object)| *kind == resource && fits(object))
            .map(|(_, object)| object)
            .collect();
        let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items});
        return whole(StatusCode::OK, &list);
    }
    if !query.contains(&format!("resourceVersion={version}")) {
        let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": "too old", "reason": "Expired", "code": 410}});
        return whole(StatusCode::OK, &gone);
    }
    let lines = stream::unfold(api.events.subscribe(), move |mut events| {
        let (resource, fits) = (resource.clone(), fits.clone());
        async move {
            while let Ok((kind, event)) = events.recv().await {
                if kind.is_empty() {
                    break;
                }
                if kind == resource && fits(&event["object"]) {
                    // As in every API server the type comes first: clients decode the object by it.
                    let (kind, object) = (&event["type"], &event["object"]);
                    let line = format!("{{\"type\":{kind},\"object\":{object}}}\n");
                    let line = Bytes::from(line);
                    return Some((Ok::<_, Infallible>(Frame::data(line)), events));
                }
            }
            None
        }
    });
    Response::new(BodyExt::boxed(StreamBody::new(lines)))
}

fn gateway(generation: u8, port: u16) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"generation": generation, "uid": "1"},
        "spec": {"gatewayClassName": "storefront",
            "listeners": [{"name": "http", "port": port, "protocol": "HTTP"}]}})
}

fn route(generation: u8, path: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"generation": generation, "uid": "2"},
        "spec": {"parentRefs": [{"name": GATEWAY}], "rules": [{
            "matches": [{"path": {"value": path}}], "backendRefs": [{"name": "web", "port": 80}]}]}})
}

/// A data plane that watches.
struct Watching {
    api: Api,
    shared: Arc<gateway::Shared>,
    port: u16,
    // Kept, so that they go on.
    _gateway: Gateway,
    _backend: Backend,
}

impl Watching {
    /// One route, `/a`.
    async fn start() -> Self {
        Self::start_without(&[]).await
    }

    /// The same in a cluster without some kinds.
    async fn start_without(missing: &[&'static str]) -> Self {
        let (backend, port) = (Backend::start("one").await, free_port());
        let (api, url) = Api::start().await;
        api.missing.lock().expect("missing").extend(missing);
        api.put("gateways", GATEWAY, gateway(1, port));
        api.put("gateways", "somebody-elses", gateway(1, free_port()));
        api.put("httproutes", "a", route(1, "/a"));
        api.put(
            "services",
            "web",
            json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {}, "spec": {"ports": [{"name": "http", "port": 80}]}}),
        );
        api.put(
            "endpointslices",
            "web-1",
            json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": backend.address.port()}],
            "endpoints": [{"addresses": ["127.0.0.1"]}]}),
        );
        let name = ObjectName::new(NAMESPACE, GATEWAY);
        let drain = Duration::from_secs(4);
        let mut running = Gateway::start(name, limits(&[]), drain, |metrics| {
            Ok(LogSink::none(metrics))
        })
        .expect("a gateway");
        let shared = running.shared();
        assert_eq!(shared.not_ready(), Some("no configuration yet"));
        // The first test to come here sets it for all.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = kube::Config::new(url.parse().expect("a URL"));
        let kube = kube::Client::try_from(config).expect("a client");
        let publisher = running.take_publisher().expect("the publisher");
        tokio::spawn(gateway::control::watch(
            kube,
            publisher,
            shared.metrics.clone(),
        ));
        eventually("ready", || async { shared.not_ready().is_none() }).await;
        Self {
            api,
            shared,
            port,
            _gateway: running,
            _backend: backend,
        }
    }

    async fn status(&self, path: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        client()
            .get(url)
            .send()
            .await
            .map_or(0, |response| response.status().as_u16())
    }

    /// The line of the metrics that begins like this.
    fn series(&self, start: &str) -> String {
        let text = self.shared.metrics.render().expect("metrics");
        let text = String::from_utf8(text).expect("text");
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
            .to_owned()
    }
}

#[tokio::test]
async fn changes_are_followed_and_nonsense_changes_nothing() {
    let watching = Watching::start().await;
    let api = &watching.api;
    assert_eq!(watching.status("/a").await, 200);
    let asked = api.asked.lock().expect("asked").clone();
    assert!(
        asked.iter().all(|asked| asked.starts_with("GET ")),
        "{asked:?}"
    );
    let mut gateways = asked.iter().filter(|asked| asked.contains(" gateways "));
    assert!(
        gateways.all(|asked| asked.contains("metadata.name%3Ddemo")),
        "{asked:?}"
    );

    api.put("httproutes", "a", route(2, "/b"));
    eventually("the change is served", || async {
        watching.status("/b").await == 200
    })
    .await;
    let before = watching.series("gateway_config_generation");
    let mut told = route(2, "/b");
    told["status"] = json!({"parents": []});
    api.put("httproutes", "a", told);
    let mut nonsense = route(3, "/c");
    nonsense["spec"]["rules"] = json!("none");
    api.put("httproutes", "a", nonsense);
    let seen = "gateway_watch_errors_total{error=\"object\",kind=\"HTTPRoute\"} 1";
    eventually("the nonsense is seen", || async {
        !watching.series(seen).is_empty()
    })
    .await;
    assert_eq!(
        (watching.status("/b").await, watching.status("/c").await),
        (200, 404)
    );
    // A write of the status alone is not worth a new table.
    assert_eq!(watching.series("gateway_config_generation"), before);
}

#[tokio::test]
async fn a_policy_that_does_not_decode_closes_its_route() {
    let watching = Watching::start().await;
    watching.api.put(
        "jwtpolicies",
        "p",
        json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "JwtPolicy",
        "metadata": {"generation": 1}, "spec": {"issuer": 7, "targetRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "a"}]}}),
    );
    eventually("the route is closed", || async {
        watching.status("/a").await == 500
    })
    .await;
}

#[tokio::test]
async fn without_an_api_server_everything_goes_on_and_what_was_missed_is_caught_up() {
    let watching = Watching::start().await;
    let api = &watching.api;
    api.down(true);
    api.asked.lock().expect("asked").clear();
    eventually("the watches came back in vain", || async {
        api.asked.lock().expect("asked").len() >= 6
    })
    .await;
    assert_eq!(
        (watching.status("/a").await, watching.status("/d").await),
        (200, 404)
    );
    // Nobody is watching: this is only seen by a list.
    api.put("httproutes", "a", route(2, "/d"));
    api.down(false);
    eventually("what was missed is served", || async {
        watching.status("/d").await == 200
    })
    .await;
    assert_eq!(watching.status("/a").await, 404);
    assert!(watching.shared.is_alive());
}

#[tokio::test]
async fn settings_in_annotations_are_followed_too() {
    let watching = Watching::start().await;
    let before = watching.series("gateway_config_generation");
    let mut told = gateway(1, watching.port);
    told["metadata"]["annotations"] = json!({"storefront.dev/trusted-hops": "1"});
    watching.api.put("gateways", GATEWAY, told);
    eventually("there is a new table", || async {
        watching.series("gateway_config_generation") != before
    })
    .await;
}

#[tokio::test]
async fn a_policy_for_tls_towards_a_service_closes_it_and_its_end_opens_it() {
    let watching = Watching::start().await;
    eventually("the route is served", || async {
        watching.status("/a").await == 200
    })
    .await;
    let policy = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
        "metadata": {"generation": 1, "uid": "9"}, "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
            "validation": {"hostname": "web", "wellKnownCACertificates": "System"}}});
    watching.api.put("backendtlspolicies", "p", policy.clone());
    eventually("it is closed", || async {
        watching.status("/a").await == 503
    })
    .await;
    let mut elsewhere = policy;
    elsewhere["metadata"]["generation"] = json!(2);
    elsewhere["spec"]["targetRefs"][0]["name"] = json!("other");
    watching.api.put("backendtlspolicies", "p", elsewhere);
    eventually("it is open", || async {
        watching.status("/a").await == 200
    })
    .await;
}

#[tokio::test]
async fn a_cluster_without_policies_for_tls_towards_backends_is_served() {
    let watching = Watching::start_without(&["backendtlspolicies"]).await;
    eventually("the route is served", || async {
        watching.status("/a").await == 200
    })
    .await;
}

#[tokio::test]
async fn the_certificates_that_the_operator_kept_are_read_next_to_those_that_listeners_name() {
    let watching = Watching::start().await;
    let (kept, port) = (issue("a.example"), free_port());
    let data = kept.secret.data.as_ref().expect("data");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {},
        "type": "storefront.dev/kept-certificates",
        "data": {"https.crt": data["tls.crt"], "https.key": data["tls.key"]}});
    watching
        .api
        .put("secrets", "demo-kept-certificates", secret);
    let mut secure = gateway(2, watching.port);
    let listener = json!({"name": "https", "port": port, "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": "gone"}]}});
    let listeners = secure["spec"]["listeners"]
        .as_array_mut()
        .expect("listeners");
    listeners.push(listener);
    watching.api.put("gateways", GATEWAY, secure);
    let trusting = connector(&[&kept]);
    eventually("it is served", || async {
        let answer = get(&trusting, port, "a.example", "a.example").await;
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 404"))
    })
    .await;
    let asked = watching.api.asked.lock().expect("asked").clone();
    let secrets: Vec<_> = asked
        .iter()
        .filter(|asked| asked.contains(" secrets "))
        .collect();
    assert!(!secrets.is_empty());
    assert!(
        secrets
            .iter()
            .all(|asked| asked.contains("metadata.name%3D")),
        "each by its name: {secrets:?}"
    );
}
