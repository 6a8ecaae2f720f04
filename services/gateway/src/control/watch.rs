//! What the API server says, gathered into snapshots. Reads only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crds::{JwtPolicy, RateLimitPolicy};
use futures::{StreamExt, TryStreamExt, pin_mut};
use gateway_routes::api::{Gateway, HTTPRoute};
use gateway_routes::{ObjectName, Objects, Scope, certificate_names};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Publisher;
use crate::metrics::{Metrics, lock};

/// Changes that come together are compiled together.
const GATHER: Duration = Duration::from_millis(5);

/// Objects of one kind as last seen.
#[derive(Debug)]
struct Kind<K> {
    live: BTreeMap<String, Arc<K>>,
    next: BTreeMap<String, Arc<K>>,
    is_synced: bool,
}

impl<K> Default for Kind<K> {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            next: BTreeMap::new(),
            is_synced: false,
        }
    }
}

type Seen<K> = Arc<Mutex<Kind<K>>>;

/// What all watches need.
#[derive(Clone)]
struct Context {
    client: Client,
    namespace: String,
    changed: Arc<Notify>,
    metrics: Arc<Metrics>,
}

/// Watches until the process ends, and publishes every change.
pub async fn run(client: Client, mut publisher: Publisher, metrics: Arc<Metrics>) {
    let gateway = publisher.gateway().clone();
    let changed = Arc::new(Notify::new());
    let context = Context {
        client,
        namespace: gateway.namespace.clone(),
        changed,
        metrics,
    };
    let own = watcher::Config::default().fields(&format!("metadata.name={}", gateway.name));
    let all = watcher::Config::default;
    let gateways: Seen<Gateway> = context.follow("Gateway", own, strict);
    let http_routes: Seen<HTTPRoute> = context.follow("HTTPRoute", all(), strict);
    let jwt_policies: Seen<JwtPolicy> = context.follow("JwtPolicy", all(), closing);
    let rate_limits: Seen<RateLimitPolicy> = context.follow("RateLimitPolicy", all(), strict);
    let services: Seen<Service> = context.follow("Service", all(), strict);
    let slices: Seen<EndpointSlice> = context.follow("EndpointSlice", all(), strict);
    let mut secrets = Secrets {
        context: context.clone(),
        watched: HashMap::new(),
    };
    loop {
        context.changed.notified().await;
        tokio::time::sleep(GATHER).await;
        let Some(gateways) = snapshot(&gateways) else {
            continue;
        };
        let wanted = gateways
            .iter()
            .flat_map(|gateway| certificate_names(gateway))
            .collect();
        secrets.watch(&wanted);
        let everything = (
            snapshot(&http_routes),
            snapshot(&jwt_policies),
            snapshot(&rate_limits),
            snapshot(&services),
            snapshot(&slices),
            secrets.snapshot(),
        );
        let (
            Some(http_routes),
            Some(jwt),
            Some(limits),
            Some(services),
            Some(slices),
            Some(secrets),
        ) = everything
        else {
            continue;
        };
        let objects = Objects {
            scope: Scope::Namespace,
            gateways,
            http_routes,
            jwt_policies: jwt,
            rate_limit_policies: limits,
            services,
            endpoint_slices: slices,
            ..Objects::default()
        };
        match publisher.publish(objects, &secrets) {
            Ok(generation) => tracing::debug!(generation, "table in force"),
            Err(error) => tracing::error!(%error, "the table could not be put in force"),
        }
    }
}

/// All objects of a kind, once the first list is complete.
fn snapshot<K>(seen: &Seen<K>) -> Option<Vec<Arc<K>>> {
    let kind = lock(seen);
    kind.is_synced
        .then(|| kind.live.values().cloned().collect())
}

/// Whether only the status differs: the operator writes it, and routing does not read it. Kinds
/// without a generation are always taken as new.
fn says_the_same(known: &ObjectMeta, new: &ObjectMeta) -> bool {
    new.generation.is_some() && (&known.generation, &known.uid) == (&new.generation, &new.uid)
}

/// Decodes, or gives nothing: then what was seen before stays.
fn strict<K: DeserializeOwned>(object: &DynamicObject) -> Option<K> {
    let value = serde_json::to_value(object).ok()?;
    serde_json::from_value(value).ok()
}

/// A JWT policy that does not decode closes its targets instead of leaving them open.
fn closing(object: &DynamicObject) -> Option<JwtPolicy> {
    strict(object).or_else(|| {
        let target_refs = object.data.get("spec")?.get("targetRefs")?.clone();
        let mut policy = JwtPolicy::new(
            &object.name_any(),
            crds::JwtPolicySpec {
                target_refs: serde_json::from_value(target_refs).ok()?,
                // No issuer is called nothing, so this policy is refused, and with it every request.
                issuer: String::new(),
                audiences: Vec::new(),
                jwks_uri: String::new(),
                mode: crds::JwtMode::Required,
                roles: Vec::new(),
                claim_to_headers: Vec::new(),
            },
        );
        policy.metadata = object.metadata.clone();
        Some(policy)
    })
}

impl Context {
    /// Begins to follow a kind in the gateway's namespace. Objects are decoded one by one, so that one
    /// that cannot be read costs only itself.
    fn follow<K>(
        &self,
        kind: &'static str,
        config: watcher::Config,
        decode: fn(&DynamicObject) -> Option<K>,
    ) -> Seen<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    {
        let seen = Seen::<K>::default();
        let resource = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let (context, store) = (self.clone(), seen.clone());
        crate::spawn(async move {
            let stream = watcher::watcher(api, config).default_backoff();
            pin_mut!(stream);
            loop {
                match stream.try_next().await {
                    Ok(Some(event)) => {
                        context.take(kind, &store, event, decode);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        context
                            .metrics
                            .watch_errors
                            .with_label_values(&[kind, "watch"])
                            .inc();
                        tracing::warn!(kind, %error, "watch broke, it begins again");
                    }
                }
            }
        });
        seen
    }

    fn take<K: Resource<DynamicType = ()>>(
        &self,
        kind: &'static str,
        store: &Seen<K>,
        event: Event<DynamicObject>,
        decode: fn(&DynamicObject) -> Option<K>,
    ) {
        let mut seen = lock(store);
        match event {
            Event::Init => seen.next.clear(),
            Event::InitDone => {
                seen.live = std::mem::take(&mut seen.next);
                seen.is_synced = true;
                self.changed.notify_one();
            }
            Event::Delete(object) => {
                seen.live.remove(&object.name_any());
                self.changed.notify_one();
            }
            Event::InitApply(mut object) => {
                object.metadata.managed_fields = None;
                let name = object.name_any();
                let decoded = self.decoded(kind, &name, decode(&object));
                if let Some(object) = decoded.or_else(|| seen.live.get(&name).cloned()) {
                    seen.next.insert(name, object);
                }
            }
            Event::Apply(mut object) => {
                object.metadata.managed_fields = None;
                let name = object.name_any();
                let known = seen.live.get(&name);
                if known.is_some_and(|known| says_the_same(known.meta(), &object.metadata)) {
                    return;
                }
                if let Some(object) = self.decoded(kind, &name, decode(&object)) {
                    seen.live.insert(name, object);
                    self.changed.notify_one();
                }
            }
        }
    }

    fn decoded<K>(&self, kind: &'static str, name: &str, object: Option<K>) -> Option<Arc<K>> {
        if object.is_none() {
            self.metrics
                .watch_errors
                .with_label_values(&[kind, "object"])
                .inc();
            tracing::warn!(
                kind,
                name,
                "object does not decode, the last one that did stays"
            );
        }
        object.map(Arc::new)
    }
}

/// The Secrets that listeners name, each with a watch of its own: the Role names them one by one.
struct Secrets {
    context: Context,
    watched: HashMap<ObjectName, (Seen<Secret>, CancellationToken)>,
}

impl Secrets {
    fn watch(&mut self, wanted: &BTreeSet<ObjectName>) {
        self.watched.retain(|name, (_, stop)| {
            let stays = wanted.contains(name);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for name in wanted {
            // Secrets of other namespaces are out of reach; conditions say so.
            if self.watched.contains_key(name) || name.namespace != self.context.namespace {
                continue;
            }
            let (seen, stop) = (Seen::<Secret>::default(), CancellationToken::new());
            let work = follow_secret(self.context.clone(), name.clone(), seen.clone());
            let stopped = stop.clone();
            crate::spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = work => {}
                }
            });
            self.watched.insert(name.clone(), (seen, stop));
        }
    }

    fn snapshot(&self) -> Option<BTreeMap<ObjectName, Arc<Secret>>> {
        let mut all = BTreeMap::new();
        for (name, (seen, _)) in &self.watched {
            let secret = snapshot(seen)?.pop();
            all.extend(secret.map(|secret| (name.clone(), secret)));
        }
        Some(all)
    }
}

async fn follow_secret(context: Context, name: ObjectName, seen: Seen<Secret>) {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &name.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.name));
    let mut stream = watcher::watcher(api, config).default_backoff().boxed();
    while let Some(event) = stream.next().await {
        let mut kind = lock(&seen);
        match event {
            Ok(Event::Init) => kind.next.clear(),
            Ok(Event::InitApply(secret)) => {
                kind.next.insert(secret.name_any(), Arc::new(secret));
            }
            Ok(Event::InitDone) => kind.live = std::mem::take(&mut kind.next),
            Ok(Event::Apply(secret)) => {
                kind.live.insert(secret.name_any(), Arc::new(secret));
            }
            Ok(Event::Delete(secret)) => {
                kind.live.remove(&secret.name_any());
            }
            Err(error) => {
                context
                    .metrics
                    .watch_errors
                    .with_label_values(&["Secret", "watch"])
                    .inc();
                tracing::warn!(secret = %name, %error, "watch broke, it begins again");
            }
        }
        // A Secret that may not be read must not keep the other listeners from being served.
        let is_init = !kind.next.is_empty();
        if !is_init {
            kind.is_synced = true;
            context.changed.notify_one();
        }
    }
}
