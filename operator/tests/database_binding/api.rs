//! A small API server in memory: enough of one for the objects of a DatabaseBinding, and strict where
//! it matters here (resource versions, uids, preconditions, finalizers). It collects no garbage, so
//! that whatever a binding leaves behind is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

/// The server; cloning shares it.
#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    events: Vec<String>,
    version: u64,
    writes: usize,
    /// The namespaces that are being deleted.
    ending: BTreeSet<String>,
}

/// Path of an object of ours.
pub fn path(kind: &str, namespace: &str, name: &str) -> String {
    match kind {
        "secrets" => format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        _ => format!("/apis/storefront.dev/v1alpha1/namespaces/{namespace}/{kind}/{name}"),
    }
}

impl Api {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0
            .lock()
            .expect("no test panics while it holds the store")
    }

    /// The object as it is.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.store().objects.get(path).cloned()
    }

    /// Paths of all objects of a kind.
    pub fn paths(&self, kind: &str) -> Vec<String> {
        let middle = format!("/{kind}/");
        self.store()
            .objects
            .keys()
            .filter(|path| path.contains(&middle))
            .cloned()
            .collect()
    }

    /// Puts an object there, as a user would.
    pub fn put(&self, path: &str, mut object: Value) {
        let mut store = self.store();
        store.version += 1;
        let version = store.version.to_string();
        let meta = object["metadata"].as_object_mut().expect("metadata");
        meta.insert("resourceVersion".into(), version.clone().into());
        meta.entry("uid")
            .or_insert_with(|| format!("uid-{version}").into());
        meta.entry("generation").or_insert_with(|| 1.into());
        meta.entry("creationTimestamp")
            .or_insert_with(|| instant(jiff::Timestamp::now()).into());
        store.objects.insert(path.to_owned(), object);
    }

    /// Changes an object, as a user would; a change of the spec is a new generation.
    pub fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut store = self.store();
        let mut object = store
            .objects
            .get(path)
            .cloned()
            .expect("the object to edit");
        let spec = object["spec"].clone();
        change(&mut object);
        if object["spec"] != spec {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = generation.into();
        }
        store.save(path, object);
    }

    /// Asks for the deletion of an object, as `kubectl delete` would.
    pub fn delete(&self, path: &str) {
        self.store().remove(path, &Value::Null);
    }

    /// From now on a namespace takes no new objects.
    pub fn end_namespace(&self, namespace: &str) {
        self.store().ending.insert(namespace.to_owned());
    }

    /// Requests that changed or tried to change something, so far.
    pub fn writes(&self) -> usize {
        self.store().writes
    }

    /// Reasons of all events, oldest first.
    pub fn events(&self) -> Vec<String> {
        self.store().events.clone()
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.expect("a body in memory").to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let kind = parts
            .headers
            .get("content-type")
            .map_or("", |kind| kind.to_str().unwrap_or(""));
        let (status, value) = self.store().answer(&parts, kind, body);
        respond(status, &value)
    }
}

/// A response with a JSON body.
pub fn respond(status: StatusCode, value: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(value.to_string().into_bytes()))
        .expect("a response")
}

/// An instant as objects have it.
pub fn instant(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The `Status` that goes with a refusal.
pub fn refusal(code: StatusCode, reason: &str, message: &str) -> (StatusCode, Value) {
    let value = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": message,
    });
    (code, value)
}

impl Store {
    fn answer(&mut self, parts: &Parts, content: &str, body: Value) -> (StatusCode, Value) {
        let path = parts.uri.path();
        let ends = |namespace: &String| path.contains(&format!("/namespaces/{namespace}/"));
        if parts.method == Method::POST && self.ending.iter().any(ends) {
            let text = "unable to create new content because it is being terminated";
            return refusal(StatusCode::FORBIDDEN, "Forbidden", text);
        }
        if parts
            .uri
            .query()
            .is_some_and(|query| query.contains("dryRun=All"))
        {
            return (StatusCode::CREATED, body);
        }
        self.handle(&parts.method, path, content, body)
    }

    fn handle(
        &mut self,
        method: &Method,
        path: &str,
        content: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        if method != Method::GET {
            self.writes += 1;
        }
        if path.starts_with("/apis/events.k8s.io/") {
            self.events
                .push(body["reason"].as_str().unwrap_or("(again)").to_owned());
            return (StatusCode::OK, body);
        }
        if method == Method::GET {
            return match self.objects.get(path) {
                Some(object) => (StatusCode::OK, object.clone()),
                None => not_found(path),
            };
        }
        if method == Method::POST {
            return self.create(path, body);
        }
        if method == Method::DELETE {
            return self.remove(path, &body);
        }
        assert_eq!(method, Method::PATCH, "no other verb is used");
        self.patch(path, content, &body)
    }

    fn create(&mut self, collection: &str, mut object: Value) -> (StatusCode, Value) {
        let name = object["metadata"]["name"]
            .as_str()
            .expect("a name")
            .to_owned();
        let path = format!("{collection}/{name}");
        if self.objects.contains_key(&path) {
            return refusal(StatusCode::CONFLICT, "AlreadyExists", &path);
        }
        object["metadata"]["uid"] = format!("uid-{}", self.version + 1).into();
        self.save(&path, object.clone());
        (StatusCode::CREATED, self.objects[&path].clone())
    }

    fn patch(&mut self, target: &str, content: &str, change: &Value) -> (StatusCode, Value) {
        let (path, status) = match target.strip_suffix("/status") {
            Some(path) => (path, true),
            None => (target, false),
        };
        let found = self.objects.get(path).cloned();
        let applied = content == "application/apply-patch+yaml" && !status;
        let Some(mut object) = found.or_else(|| applied.then(|| change.clone())) else {
            return not_found(path);
        };
        let wanted = &change["metadata"];
        for key in ["uid", "resourceVersion"] {
            if wanted[key].is_string() && wanted[key] != object["metadata"][key] {
                return refusal(StatusCode::CONFLICT, "Conflict", key);
            }
        }
        if status {
            assert_eq!(
                content, "application/apply-patch+yaml",
                "statuses are applied"
            );
            object["status"] = change["status"].clone();
        } else if applied {
            // Children with one manager: what is applied is all there is, but for the status.
            for (key, value) in change.as_object().into_iter().flatten() {
                if key != "metadata" {
                    object[key] = value.clone();
                }
            }
        } else {
            assert_eq!(
                content, "application/merge-patch+json",
                "finalizers are merged"
            );
            assert!(
                change.as_object().is_some_and(|change| change.len() == 1),
                "only metadata"
            );
            object["metadata"]["finalizers"] = wanted["finalizers"].clone();
        }
        self.save(path, object.clone());
        (
            StatusCode::OK,
            self.objects.get(path).cloned().unwrap_or(object),
        )
    }

    fn remove(&mut self, path: &str, options: &Value) -> (StatusCode, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return not_found(path);
        };
        let wanted = &options["preconditions"]["uid"];
        if wanted.is_string() && *wanted != object["metadata"]["uid"] {
            return refusal(StatusCode::CONFLICT, "Conflict", "uid");
        }
        if object["metadata"]["deletionTimestamp"].is_null() {
            let now = jiff::Timestamp::now();
            object["metadata"]["deletionTimestamp"] = instant(now).into();
        }
        self.save(path, object.clone());
        (StatusCode::OK, object)
    }

    /// Stores what changed; an object that is being deleted goes with its last finalizer.
    fn save(&mut self, path: &str, mut object: Value) {
        let leaving = object["metadata"]["deletionTimestamp"].is_string();
        let free = object["metadata"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty);
        if leaving && free {
            self.objects.remove(path);
            return;
        }
        if self.objects.get(path) != Some(&object) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.objects.insert(path.to_owned(), object);
        }
    }
}

fn not_found(path: &str) -> (StatusCode, Value) {
    refusal(StatusCode::NOT_FOUND, "NotFound", path)
}
