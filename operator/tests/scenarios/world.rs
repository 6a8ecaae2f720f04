//! A cluster in memory with a running operator, and the words that the stories are told in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use kube::client::ClientBuilder;
use kube_cache::{Activity, Key, Scope};
use operator::accounting::Accounting;
use operator::context::{Context, Parts};
use operator::dispatch::Queues;
use operator::health::Health;
use operator::kinds::database_binding::{Endpoint, ServerError, Servers, Session};
use operator::metrics::Metrics;
use operator::prober::Prober;
use operator::queue::Priority;
use operator::run::{ControllerKind, Engine};
use operator_plan::Platform;
use operator_plan::probe::{Question, Said};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Id};

/// Longest (virtual) time that anything may take.
const BOUND: Duration = Duration::from_secs(1200);

/// A cluster with an operator in it.
pub struct World {
    pub fake: Fake,
    pub queues: Queues,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    pub answers: Answers,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// An operator on this cluster. The controller of databases is tested against real servers elsewhere.
    pub fn start(fake: Fake) -> Self {
        Self::start_with(fake, "1.0.0", &[])
    }

    /// The same, once the shop in it is ready and nobody has anything to do.
    pub async fn ready(fake: Fake) -> Self {
        let world = Self::start(fake);
        world
            .until("the shop is ready", |fake| is_ready(fake, "demo"))
            .await;
        world.rest().await;
        world
    }

    /// The same, that may only look at these namespaces.
    pub fn start_in(fake: Fake, namespaces: &[&str]) -> Self {
        Self::start_with(fake, "1.0.0", namespaces)
    }

    /// The same, of another release: other images, and one change more in the templates.
    pub fn start_release(fake: Fake, release: &str) -> Self {
        Self::start_with(fake, release, &[])
    }

    /// A second operator, whose Lease is in this namespace.
    pub fn start_other(fake: Fake, installation: &str) -> Self {
        Self::start_as(fake, installation, "1.0.0", &[])
    }

    fn start_with(fake: Fake, release: &str, namespaces: &[&str]) -> Self {
        Self::start_as(fake, "storefront-system", release, namespaces)
    }

    fn start_as(fake: Fake, installation: &str, release: &str, namespaces: &[&str]) -> Self {
        let mut scopes: Vec<Scope> = namespaces
            .iter()
            .map(|name| Scope::of_namespace(name))
            .collect();
        if scopes.is_empty() {
            scopes.push(Scope::All);
        }
        let metrics = Metrics::new().expect("metrics");
        let activity = Activity::default();
        let accounting = Accounting::new(metrics.clone(), activity.clone(), "fake");
        let client = ClientBuilder::new(fake.clone(), "default")
            .with_layer(&accounting)
            .build();
        let platform = Platform {
            registry: "registry.test".into(),
            tag: release.into(),
            digests: std::collections::BTreeMap::new(),
            version: release.into(),
            pull_policy: "IfNotPresent".into(),
            operator_namespace: "storefront-system".into(),
            rehearses: release != "1.0.0",
        };
        let answers = Answers::default();
        let parts = Parts {
            platform,
            instance: "test".into(),
            installation: installation.into(),
            sees_classes: namespaces.is_empty(),
            prober: Arc::new(answers.clone()),
        };
        let context = Context::new(client, metrics.clone(), parts);
        let health = Arc::new(Health::new(Arc::clone(&context), activity.clone()));
        let engine = Engine {
            context,
            servers: Arc::new(NoServers),
            health: Arc::clone(&health),
            activity,
            scopes,
            workers: 4,
        };
        let (queues, stop) = (Queues::new(&metrics), CancellationToken::new());
        let (at_work, token) = (queues.clone(), stop.clone());
        let running = tokio::task::spawn(async move {
            let kinds = [
                ControllerKind::Storefront,
                ControllerKind::ServiceDeployment,
                ControllerKind::Gateway,
            ];
            engine.work(&kinds, at_work, token).await;
        });
        Self {
            fake,
            queues,
            health,
            metrics,
            answers,
            stop,
            running,
        }
    }

    /// Ends the operator, as a kill would; the cluster stays.
    pub async fn kill(self) -> Fake {
        self.running.abort();
        drop(self.running.await);
        self.stop.cancel();
        self.fake
    }

    /// Waits until something is true.
    pub async fn until(&self, what: &str, test: impl Fn(&Fake) -> bool) {
        let started = tokio::time::Instant::now();
        while !test(&self.fake) {
            assert!(
                started.elapsed() < BOUND,
                "not within {} s: {what}",
                BOUND.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Until an object is gone and nothing more follows from that.
    pub async fn until_gone(&self, id: &Id) {
        self.until("it is gone", |fake| {
            fake.with(|store| store.get(id).is_none())
        })
        .await;
        self.rest().await;
    }

    /// Waits until nobody has anything to do but routine looks, for a while.
    pub async fn rest(&self) {
        let mut quiet = 0;
        let started = tokio::time::Instant::now();
        while quiet < 40 {
            assert!(
                started.elapsed() < BOUND,
                "the operator does not come to rest"
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
            // Nobody serves the databases here.
            let served = self
                .queues
                .all()
                .into_iter()
                .filter(|q| q.name() != "databasebinding");
            let idle = served.into_iter().all(|queue| queue.is_idle());
            quiet = if idle { quiet + 1 } else { 0 };
        }
    }

    /// Makes everybody look again, and waits until they have.
    pub async fn look_again(&self) {
        let objects: Vec<Id> = self
            .fake
            .with(|store| store.all().keys().cloned().collect());
        for id in objects {
            let queue = match id.resource.as_str() {
                "storefronts" => &self.queues.storefronts,
                "servicedeployments" => &self.queues.services,
                "gateways" => &self.queues.gateways,
                "gatewayclasses" => &self.queues.classes,
                "httproutes" => &self.queues.routes,
                _ => continue,
            };
            let name = if id.resource == "httproutes" {
                ""
            } else {
                id.name.as_str()
            };
            queue.add(Key::new(id.namespace.clone(), name), Priority::High);
        }
        self.rest().await;
    }
}

/// What workloads answer when they are asked, by the host; nothing where nothing is set.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, Said>>>);

impl Answers {
    /// From now on a workload answers this, with dependencies that it fails over and does without.
    pub fn set(&self, host: &str, code: u16, failing: &[(&str, &str)], degraded: &[(&str, &str)]) {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, why)| ((*name).to_owned(), (*why).to_owned()))
                .collect()
        };
        let said = Said::Response {
            code,
            failing: map(failing),
            degraded: map(degraded),
        };
        let mut all = self.0.lock().expect("the answers");
        all.insert(host.to_owned(), said);
    }
}

impl Prober for Answers {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Said> {
        let all = self.0.lock().expect("the answers");
        let said = all.get(&question.host).cloned().unwrap_or(Said::Nothing);
        Box::pin(async move { said })
    }
}

/// No database server can be reached.
struct NoServers;

impl Servers for NoServers {
    fn open<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, ServerError>> {
        let server = endpoint.address();
        Box::pin(async move { Err(ServerError::Busy { server }) })
    }

    fn can_log_in<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        _database: &'a str,
    ) -> BoxFuture<'a, Result<bool, ServerError>> {
        let server = endpoint.address();
        Box::pin(async move { Err(ServerError::Busy { server }) })
    }
}

/// An id of a kind of ours.
pub fn ours(resource: &str, name: &str) -> Id {
    Id::new("storefront.dev", resource, "shops", name)
}

/// A cluster with the built-in class and one shop.
pub fn cluster_with_shop(policy: &str) -> Fake {
    let fake = cluster_with_class();
    add_shop(&fake, "demo", policy);
    fake
}

/// A shop that is ready, in a cluster with the built-in class.
pub async fn ready_shop(policy: &str) -> World {
    World::ready(cluster_with_shop(policy)).await
}

/// A cluster with the built-in class.
pub fn cluster_with_class() -> Fake {
    let fake = Fake::new();
    let class = Id::new(
        "gateway.networking.k8s.io",
        "gatewayclasses",
        "",
        "storefront",
    );
    let made = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {}, "spec": { "controllerName": "storefront.dev/gateway-controller" } });
    fake.with(|store| store.create(&class, made))
        .expect("a class");
    fake
}

/// Adds a shop, as a user would.
pub fn add_shop(fake: &Fake, name: &str, policy: &str) {
    let shop = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "metadata": {},
        "spec": { "hostnames": [format!("{name}.example")], "currencies": ["EUR"],
            "deletionPolicy": policy, "paused": false,
            "notifications": { "email": { "smtp": {
                "host": "mail.example", "port": 25, "from": "shop@demo.example" } } } } });
    fake.with(|store| store.create(&ours("storefronts", name), shop))
        .expect("a shop");
}

/// Pauses the shop, as a user would.
pub fn pause(fake: &Fake) {
    let pause = |shop: &mut Value| shop["spec"]["paused"] = true.into();
    let paused = fake.with(|store| store.update(&ours("storefronts", "demo"), false, pause));
    paused.expect("paused");
}

/// Status and reason of a condition.
pub fn condition(object: Option<&Value>, wanted: &str) -> Option<(String, String)> {
    let conditions = object?["status"]["conditions"].as_array()?.clone();
    let found = conditions
        .into_iter()
        .find(|condition| condition["type"] == wanted)?;
    let word = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((word("status"), word("reason")))
}

/// Whether a shop says that it is ready.
pub fn is_ready(fake: &Fake, name: &str) -> bool {
    let ready = fake.with(|store| condition(store.get(&ours("storefronts", name)), "Ready"));
    ready.is_some_and(|(status, _)| status == "True")
}

/// Everything in the cluster without what differs from run to run: times, versions, uids, secrets.
pub fn picture(fake: &Fake) -> Vec<String> {
    fake.with(|store| {
        let shown = store.all().iter().filter(|(id, _)| id.resource != "events");
        shown
            .map(|(id, object)| format!("{id:?} {}", plain(object.clone())))
            .collect()
    })
}

fn plain(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            for field in [
                "resourceVersion",
                "uid",
                "generation",
                "observedGeneration",
                "lastTransitionTime",
                "storefront.dev/owner-uid",
                // A hash over a uid and over Secrets.
                "inputs",
                "storefront.dev/applied-hash",
            ] {
                map.remove(field);
            }
            if let Some(data) = map.get_mut("data").and_then(Value::as_object_mut) {
                data.values_mut().for_each(|secret| *secret = Value::Null);
            }
            let entries: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
            for (name, inner) in entries {
                // A signing key is called after itself; a checksum is of something random.
                let name = if name.strip_suffix(".pem").is_some() {
                    "key.pem".to_owned()
                } else {
                    name
                };
                let inner = if name.contains("checksum") || name.contains("hash") {
                    Value::Null
                } else if name == "path" && inner.as_str().is_some_and(|it| it.contains("/healthz"))
                {
                    // What is in front of it is random.
                    "/healthz".into()
                } else {
                    plain(inner)
                };
                map.insert(name, inner);
            }
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|entry| *entry = plain(entry.take())),
        _ => {}
    }
    value
}
