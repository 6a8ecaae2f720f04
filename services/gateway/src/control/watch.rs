//! Watches what a gateway needs, and publishes a table after every change. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crds::{JwtPolicy, RateLimitPolicy};
use gateway_routes::api::{BackendTLSPolicy, Gateway, HTTPRoute};
use gateway_routes::certificate::kept_secret;
use gateway_routes::{ObjectName, Objects, certificate_names};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::ApiResource;
use kube::{Api, Client, Resource, ResourceExt};
use kube_cache::{
    Callbacks, Change, Decoded, Full, Key, NamedWatches, Scope, Sent, State, Store, Watch,
    WatchStatus, decode_whole,
};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Publisher;
use crate::metrics::Metrics;

/// Changes that arrive within this time are compiled together.
const GATHER: Duration = Duration::from_millis(5);
/// A table is compiled anew at least this often: timers cannot wait for as long as certificates last.
const MAX_LASTS: Duration = Duration::from_secs(24 * 3600);

/// Objects of a kind, and how their watch is doing.
struct Objs<K: Resource + Send + Sync + 'static> {
    store: Arc<Store<Full<K>>>,
    status: Arc<WatchStatus>,
}

type Secrets = NamedWatches<Sent, Full<Secret>>;

/// What all watches need.
#[derive(Clone)]
struct Context {
    client: Client,
    namespace: String,
    changed: Arc<Notify>,
    metrics: Arc<Metrics>,
}

/// The watched kinds, all of the gateway's namespace.
struct Stores {
    gateways: Objs<Gateway>,
    http_routes: Objs<HTTPRoute>,
    jwt_policies: Objs<JwtPolicy>,
    rate_limits: Objs<RateLimitPolicy>,
    backend_tls: Objs<BackendTLSPolicy>,
    services: Objs<Service>,
    slices: Objs<EndpointSlice>,
}

/// Watches until the process ends, and publishes every change.
pub async fn run(client: Client, mut publisher: Publisher, metrics: Arc<Metrics>) {
    let gateway = publisher.gateway().clone();
    let context = Context {
        client,
        namespace: gateway.namespace.clone(),
        changed: Arc::new(Notify::new()),
        metrics,
    };
    let own = Some(format!("metadata.name={}", gateway.name));
    let stores = Stores {
        gateways: context.follow("Gateway", own),
        http_routes: context.follow("HTTPRoute", None),
        jwt_policies: context.start("JwtPolicy", None, closing),
        rate_limits: context.follow("RateLimitPolicy", None),
        backend_tls: context.follow("BackendTLSPolicy", None),
        services: context.follow("Service", None),
        slices: context.follow("EndpointSlice", None),
    };
    let secrets = context.secrets();
    loop {
        let stays = publisher.lasts().unwrap_or(MAX_LASTS).min(MAX_LASTS);
        // The time is up: a certificate becomes valid or expires.
        let _ = tokio::time::timeout(stays, context.changed.notified()).await;
        tokio::time::sleep(GATHER).await;
        let Some((objects, certificates)) = snapshot(&context.namespace, &stores, &secrets) else {
            continue;
        };
        match publisher.publish(objects, &certificates) {
            Ok(generation) => tracing::debug!(generation, "table in force"),
            Err(error) => tracing::error!(%error, "failed to publish the table"),
        }
    }
}

/// Everything that a table is compiled from; nothing until each kind and each certificate has been
/// listed once.
fn snapshot(
    namespace: &str,
    stores: &Stores,
    secrets: &Secrets,
) -> Option<(Objects, BTreeMap<ObjectName, Arc<Secret>>)> {
    let gateways = synced(&stores.gateways, namespace)?;
    // Secrets of other namespaces are out of reach; conditions report that.
    let named = gateways
        .iter()
        .flat_map(|gateway| all_certificate_names(gateway))
        .filter(|name| name.namespace == namespace);
    let wanted: BTreeSet<Key> = named
        .map(|name| Key::new(name.namespace, name.name))
        .collect();
    // The Role grants each Secret by name, so each has a watch of its own.
    secrets.watch_only(&wanted);
    let objects = Objects {
        scope: gateway_routes::Scope::Namespace,
        gateways,
        http_routes: synced(&stores.http_routes, namespace)?,
        jwt_policies: synced(&stores.jwt_policies, namespace)?,
        rate_limit_policies: synced(&stores.rate_limits, namespace)?,
        backend_tls_policies: if_served(&stores.backend_tls, namespace)?,
        services: synced(&stores.services, namespace)?,
        endpoint_slices: synced(&stores.slices, namespace)?,
        ..Objects::default()
    };
    // One that may not be read must not keep the other listeners from being served.
    if !wanted.iter().all(|key| secrets.is_settled(key)) {
        return None;
    }
    let found = wanted.into_iter().filter_map(|key| {
        let secret = secrets.store().object(&key)?;
        Some((
            ObjectName {
                namespace: key.namespace,
                name: key.name,
            },
            secret,
        ))
    });
    Some((objects, found.collect()))
}

/// The Secrets that the listeners name, and that with the last good certificates.
fn all_certificate_names(gateway: &Gateway) -> Vec<ObjectName> {
    let mut names = certificate_names(gateway);
    let kept = kept_secret(&gateway.name_any()).filter(|_| !names.is_empty());
    names.extend(kept.map(|kept| ObjectName::new(gateway.namespace().unwrap_or_default(), kept)));
    names
}

fn synced<K>(objects: &Objs<K>, namespace: &str) -> Option<Vec<Arc<K>>>
where
    K: Resource + Send + Sync + 'static,
{
    let (store, scope) = (&objects.store, Scope::of_namespace(namespace));
    store.is_synced(&scope).then(|| store.objects_in(namespace))
}

/// The same of a kind that a cluster may not have.
fn if_served<K>(objects: &Objs<K>, namespace: &str) -> Option<Vec<Arc<K>>>
where
    K: Resource + Send + Sync + 'static,
{
    match objects.status.state() {
        State::Missing => Some(Vec::new()),
        _ => synced(objects, namespace),
    }
}

/// Whether only the status differs: the operator writes it, and routing does not read it. Kinds
/// without a generation always count as changed. Annotations have none, and carry settings of Gateways; owner references
/// say which routes are a shop's.
fn is_status_only(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    let relevant = |meta: &ObjectMeta| {
        (
            meta.generation,
            meta.uid.clone(),
            meta.annotations.clone(),
            meta.owner_references.clone(),
        )
    };
    new.generation.is_some() && relevant(old) == relevant(new)
}

/// A JWT policy that does not decode closes its targets instead of leaving them open.
fn closing(sent: &Sent) -> Decoded<Full<JwtPolicy>> {
    let invalid = match sent.decode::<JwtPolicy>() {
        Ok(policy) => return Ok(Full::new(policy)),
        Err(invalid) => invalid,
    };
    let object = sent.decode::<DynamicObject>()?;
    let targets = object
        .data
        .get("spec")
        .and_then(|spec| spec.get("targetRefs"))
        .and_then(|targets| serde_json::from_value(targets.clone()).ok());
    let Some(target_refs) = targets else {
        return Err(invalid);
    };
    let mut policy = JwtPolicy::new(
        &object.name_any(),
        crds::JwtPolicySpec {
            target_refs,
            // No token has an empty issuer, so every request to these targets is refused.
            issuer: String::new(),
            audiences: Vec::new(),
            jwks_uri: String::new(),
            mode: crds::JwtMode::Required,
            roles: Vec::new(),
            claim_to_headers: Vec::new(),
        },
    );
    policy.metadata = object.metadata;
    Ok(Full::new(policy))
}

impl Context {
    /// Starts to watch a kind in the gateway's namespace.
    fn follow<K>(&self, kind: &'static str, fields: Option<String>) -> Objs<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        self.start(kind, fields, decode_whole)
    }

    fn start<K>(
        &self,
        kind: &'static str,
        fields: Option<String>,
        decode: fn(&Sent) -> Decoded<Full<K>>,
    ) -> Objs<K>
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let resource = ApiResource::erase::<K>(&());
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let store = Arc::new(Store::keeping_last_good());
        let watch = Watch {
            api,
            scope: Scope::of_namespace(&self.namespace),
            labels: None,
            fields,
            store: Arc::clone(&store),
            decode,
            callbacks: self.callbacks(kind),
            activity: None,
        };
        let status = watch.status(kind, false);
        crate::spawn(watch.run(Arc::clone(&status), CancellationToken::new()));
        Objs { store, status }
    }

    fn secrets(&self) -> Secrets {
        let client = self.client.clone();
        let resource = ApiResource::erase::<Secret>(&());
        NamedWatches::new(
            "Secret",
            move |namespace| Api::namespaced_with(client.clone(), namespace, &resource),
            decode_whole,
            self.callbacks("Secret"),
        )
    }

    fn callbacks<K>(&self, kind: &'static str) -> Callbacks<Full<K>>
    where
        K: Resource + Send + Sync + 'static,
    {
        let (context, changed, failing) = (self.clone(), Arc::clone(&self.changed), self.clone());
        Callbacks {
            on_change: Arc::new(move |change| context.take(kind, change)),
            on_synced: Arc::new(move || changed.notify_one()),
            on_error: Arc::new(move |_| {
                failing.count(kind, "watch");
                // A certificate that may not be read is settled now.
                failing.changed.notify_one();
            }),
        }
    }

    fn take<K: Resource>(&self, kind: &'static str, change: &Change<Full<K>>) {
        match change {
            Change::Undecodable(key) => {
                self.count(kind, "object");
                tracing::warn!(kind, %key, "object does not decode; keeping the last version that did");
            }
            Change::Set {
                old: Some(old),
                new,
                ..
            } if is_status_only(old.0.meta(), new.0.meta()) => {}
            Change::Set { .. } | Change::Gone(_) => self.changed.notify_one(),
        }
    }

    fn count(&self, kind: &'static str, what: &'static str) {
        let labels = [kind, what];
        self.metrics.watch_errors.with_label_values(&labels).inc();
    }
}
