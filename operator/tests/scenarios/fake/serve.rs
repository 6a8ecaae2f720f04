//! The HTTP side: paths, verbs, watches, faults.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt, stream};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body as KubeBody;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::Service;

use super::store::{Id, Refusal, Store};
use super::watching::{Asked, View, Watching, event};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status before anything was done.
    Refused(u16),
    /// Done, but the answer is lost.
    Lost,
    /// Never answered: the connection breaks before anything was done.
    Broken,
    /// Never answered, and never refused either: whoever asks is dead before he knows.
    Dead,
}

/// A request that was made, watches aside.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub id: Id,
    pub subresource: String,
}

impl Request {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

type Plan = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

struct Shared {
    store: Mutex<Store>,
    news: watch::Sender<u64>,
    /// Bumped to cut all watches off.
    cut: watch::Sender<u64>,
    requests: Mutex<Vec<Request>>,
    faults: Mutex<Option<Plan>>,
    /// Resources that are not served: their definition is missing.
    missing: Mutex<Vec<String>>,
    /// Resources whose lists and watches are never answered.
    silent: Mutex<Vec<String>>,
    listed: Mutex<Vec<(String, String)>>,
    /// Resources that were listed or watched without any selector.
    unselected: Mutex<Vec<String>>,
    /// How many watches (not lists) are still to be refused.
    refusing: Mutex<u32>,
}

/// The server; clones share it.
#[derive(Clone)]
pub struct Fake(Arc<Shared>);

impl Fake {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            store: Mutex::default(),
            news: watch::channel(0).0,
            cut: watch::channel(0).0,
            requests: Mutex::default(),
            faults: Mutex::default(),
            missing: Mutex::default(),
            silent: Mutex::default(),
            refusing: Mutex::default(),
            listed: Mutex::default(),
            unselected: Mutex::default(),
        }))
    }

    /// Somebody deletes an object, which must exist.
    pub fn delete(&self, id: &Id) {
        let answer = self.with(|store| store.delete(id, &Value::Null));
        answer.expect("an object to delete");
    }

    /// Looks at or changes the store, as somebody else would.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.0.store.lock().expect("the store");
        let before = store.version;
        let result = work(&mut store);
        let version = store.version;
        drop(store);
        // A look is no news: watches look, and would wake each other for ever.
        if version != before {
            self.0.news.send_replace(version);
        }
        result
    }

    /// Every request so far, watches and lists aside.
    pub fn requests(&self) -> Vec<Request> {
        self.locked().clone()
    }

    /// How many requests changed something or tried to, events aside.
    pub fn writes(&self) -> usize {
        let is_write = |r: &&Request| r.is_write() && r.id.resource != "events";
        self.locked().iter().filter(is_write).count()
    }

    /// Reasons of the events about an object, oldest first.
    pub fn events_about(&self, name: &str) -> Vec<String> {
        let events = self.told_about(name).into_iter();
        events.map(|(_, reason)| reason).collect()
    }

    /// Types and reasons of the events about an object, oldest first.
    pub fn told_about(&self, name: &str) -> Vec<(String, String)> {
        let events = self.with(|store| store.list("events.k8s.io", "events", ""));
        let mut found: Vec<(u64, (String, String))> = events
            .iter()
            .filter(|(_, event)| event["regarding"]["name"] == name)
            .map(|(_, event)| {
                let version = event["metadata"]["resourceVersion"].as_str().unwrap_or("0");
                let word = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                (version.parse().unwrap_or(0), (word("type"), word("reason")))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, event)| event).collect()
    }

    /// From now on asks `plan` about each request whether it goes wrong.
    pub fn break_by(&self, plan: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        *self.0.faults.lock().expect("the faults") = Some(Box::new(plan));
    }

    /// Cuts all watches off and forgets the history, so that they must list again.
    pub fn cut_watches(&self) {
        self.with(|store| store.oldest = store.version + 1);
        self.0.cut.send_modify(|cut| *cut += 1);
    }

    /// Says which resources are not served.
    pub fn not_serving(&self, resources: &[&str]) {
        *self.0.missing.lock().expect("the list") =
            resources.iter().map(|name| (*name).to_owned()).collect();
    }

    /// From now on leaves lists and watches of these resources without an answer.
    pub fn silence(&self, resources: &[&str]) {
        *self.0.silent.lock().expect("the list") =
            resources.iter().map(|name| (*name).to_owned()).collect();
        self.0.cut.send_modify(|cut| *cut += 1);
    }

    /// Refuses the next watches, as a server does whose cache is not filled yet.
    pub fn refuse_watches(&self, count: u32) {
        *self.0.refusing.lock().expect("the count") = count;
    }

    /// Resources and namespaces that were listed, an empty one standing for all.
    pub fn listed(&self) -> Vec<(String, String)> {
        self.0.listed.lock().expect("the list").clone()
    }

    /// How many lists and watches of a resource had no selector: they show all of it.
    pub fn unselected_lists(&self, resource: &str) -> usize {
        let all = self.0.unselected.lock().expect("the list");
        all.iter().filter(|listed| *listed == resource).count()
    }

    fn is_refusing(&self) -> bool {
        let mut refusing = self.0.refusing.lock().expect("the count");
        let is_refusing = *refusing > 0;
        *refusing = refusing.saturating_sub(1);
        is_refusing
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.requests.lock().expect("the requests")
    }

    async fn answer(self, request: http::Request<KubeBody>) -> Result<Response<Body>, Broken> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (id, subresource) = parse(parts.uri.path());
        let view = View {
            labels: query(&parts, "labelSelector").unwrap_or_default(),
            fields: query(&parts, "fieldSelector").unwrap_or_default(),
            metadata_only: header(&parts, "accept").contains("PartialObjectMetadata"),
        };
        let missing = self.0.missing.lock().expect("the list").clone();
        if missing.contains(&id.resource) {
            return Ok(respond(Err((404, "NotFound"))));
        }
        if id.name.is_empty() && parts.method == Method::GET {
            return Ok(self.answer_many(id, view, &parts).await);
        }
        // The path of a create names no object.
        let made = body["metadata"]["name"]
            .as_str()
            .filter(|_| id.name.is_empty());
        let request = Request {
            method: parts.method.clone(),
            id: Id {
                name: made.unwrap_or(&id.name).to_owned(),
                ..id.clone()
            },
            subresource,
        };
        let fault = self.note(&request);
        match fault {
            Some(Fault::Refused(code)) => return Ok(respond(Err((code, "Refused")))),
            Some(Fault::Broken) => return Err(Broken),
            Some(Fault::Dead) => std::future::pending().await,
            Some(Fault::Lost) | None => {}
        }
        let by = By {
            manager: query(&parts, "fieldManager").unwrap_or_default(),
            is_forced: query(&parts, "force").is_some_and(|force| force == "true"),
            content: header(&parts, "content-type"),
            is_dry: query(&parts, "dryRun").is_some(),
        };
        let answer = self.with(|store| handle(store, &request, &by, &body));
        if fault == Some(Fault::Lost) {
            return Err(Broken);
        }
        Ok(respond(answer.map(|object| view.of(object))))
    }

    /// Answers a list or a watch.
    async fn answer_many(self, id: Id, view: View, parts: &Parts) -> Response<Body> {
        if view.labels.is_empty() && view.fields.is_empty() {
            let mut all = self.0.unselected.lock().expect("the list");
            all.push(id.resource.clone());
        }
        let silent = self.0.silent.lock().expect("the list").clone();
        if silent.contains(&id.resource) {
            std::future::pending::<()>().await;
        }
        if query(parts, "watch").is_none() {
            let listed = (id.resource.clone(), id.namespace.clone());
            self.0.listed.lock().expect("the list").push(listed);
            return respond(Ok(self.list(&id, &view)));
        }
        let number = |name: &str| query(parts, name).and_then(|value| value.parse().ok());
        let limit = Duration::from_secs(number("timeoutSeconds").unwrap_or(290));
        self.watch(Asked {
            id,
            view,
            since: number("resourceVersion").unwrap_or(0),
            until: tokio::time::Instant::now() + limit,
            asks_bookmarks: query(parts, "allowWatchBookmarks").is_some_and(|it| it == "true"),
        })
    }

    fn note(&self, request: &Request) -> Option<Fault> {
        self.locked().push(request.clone());
        let mut plan = self.0.faults.lock().expect("the faults");
        plan.as_mut().and_then(|plan| plan(request))
    }

    fn list(&self, id: &Id, view: &View) -> Value {
        let (items, version) = self.with(|store| {
            (
                store.list(&id.group, &id.resource, &id.namespace),
                store.version,
            )
        });
        let items: Vec<Value> = items
            .into_iter()
            .map(|(_, object)| object)
            .filter(|object| view.selects(object))
            .map(|object| view.of(object))
            .collect();
        json!({ "apiVersion": "v1", "kind": "List", "items": items,
            "metadata": { "resourceVersion": version.to_string() } })
    }

    fn watch(&self, asked: Asked) -> Response<Body> {
        if self.is_refusing() {
            return respond(Err((429, "TooManyRequests")));
        }
        if asked.since < self.with(|store| store.oldest) {
            let gone = json!({ "kind": "Status", "code": 410, "status": "Failure",
                "reason": "Expired", "message": "too old resource version" });
            return stream_of(stream::iter([event("ERROR", &gone)]));
        }
        let state = Watching {
            fake: self.clone(),
            seen: asked.since,
            asked,
            news: self.0.news.subscribe(),
            cut: self.0.cut.subscribe(),
            is_over: false,
        };
        stream_of(stream::unfold(state, Watching::next).flat_map(stream::iter))
    }
}

/// Who writes, and how.
struct By {
    manager: String,
    is_forced: bool,
    content: String,
    is_dry: bool,
}

fn handle(store: &mut Store, request: &Request, by: &By, body: &Value) -> Result<Value, Refusal> {
    let (id, status) = (&request.id, request.subresource == "status");
    match (request.method.as_str(), by.content.as_str()) {
        ("GET", _) => store.shown(id).ok_or((404, "NotFound")),
        ("POST", _) if by.is_dry => Ok(body.clone()),
        ("POST", _) => store.create_by(id, &by.manager, body.clone()),
        ("PATCH", "application/apply-patch+yaml") => {
            if !by.is_forced && store.is_contested(id, &by.manager, status, body) {
                return Err((409, "Conflict"));
            }
            store.apply(id, &by.manager, status, body)
        }
        ("PATCH", _) => store.merge(id, &by.manager, status, body),
        ("DELETE", _) => store.delete(id, &body["preconditions"]),
        _ => Err((405, "MethodNotAllowed")),
    }
}

fn query(parts: &Parts, name: &str) -> Option<String> {
    query_value(parts.uri.query().unwrap_or_default(), name)
}

fn header(parts: &Parts, name: &str) -> String {
    let value = parts.headers.get(name);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(
        value
            .replace("%3D", "=")
            .replace("%2F", "/")
            .replace('+', " ")
            .replace("%28", "(")
            .replace("%29", ")")
            .replace("%2C", ","),
    )
}

/// `/apis/apps/v1/namespaces/shops/deployments/demo/status` and its shorter forms.
fn parse(path: &str) -> (Id, String) {
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let (group, rest) = match words.as_slice() {
        ["apis", group, _version, rest @ ..] => (*group, rest),
        ["api", _version, rest @ ..] => ("", rest),
        other => ("", other),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        other => ("", other),
    };
    let word = |index: usize| rest.get(index).copied().unwrap_or_default();
    (
        Id::new(group, word(0), namespace, word(1)),
        word(2).to_owned(),
    )
}

fn respond(answer: Result<Value, Refusal>) -> Response<Body> {
    let (code, value) = match answer {
        Ok(value) => (200, value),
        Err((code, reason)) => {
            let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "code": code, "reason": reason, "message": reason });
            (code, status)
        }
    };
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    response
}

fn stream_of(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(line)));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

/// The connection broke.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
pub struct Broken;

impl Service<http::Request<KubeBody>> for Fake {
    type Response = Response<Body>;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Response<Body>, Broken>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<KubeBody>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
