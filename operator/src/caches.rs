//! What the watches know, kind by kind.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use crds::{DatabaseBinding, JwtPolicy, RateLimitPolicy, ServiceDeployment, Storefront};
use gateway_routes::api::{BackendTLSPolicy, Gateway, GatewayClass, HTTPRoute};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Resource;
use kube::core::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube_cache::{Cached, Decoded, Full, Key, OnChange, Sent, Store, decode_whole};
use operator_plan::scaling::{Target, is_foreign};
use operator_plan::{Live, ObjectKey, Readable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::slim::{Slim, SlimPod, Tracked, Trim, Trimmed};
use crate::volumes::VolumeClaim;
use crate::warned::ProbeWarning;

/// The objects of one kind. `W` is what the API server sends, `V` what is kept of it.
pub struct Cache<W, V: Cached> {
    /// Where the API server serves the kind.
    pub resource: ApiResource,
    /// What is known.
    pub store: Arc<Store<V>>,
    /// What is kept of an object.
    pub decode: fn(&W) -> Decoded<V>,
    on_change: OnceLock<OnChange<V>>,
}

impl<W, V: Cached> Cache<W, V> {
    fn new<K: Resource<DynamicType = ()>>(decode: fn(&W) -> Decoded<V>) -> Self {
        Self {
            resource: ApiResource::erase::<K>(&()),
            store: Arc::default(),
            decode,
            on_change: OnceLock::new(),
        }
    }

    /// Sets the callback for changes, watched and recorded ones; only the first call counts.
    pub fn on_change(&self, on_change: OnChange<V>) {
        drop(self.on_change.set(on_change));
    }

    /// Takes the answer to a write of this process, see [`Store::record`].
    pub fn record(&self, object: V) {
        if let Some(change) = self.store.record(object)
            && let Some(on_change) = self.on_change.get()
        {
            on_change(&change);
        }
    }
}

/// Whole objects of a kind.
pub type Whole<K> = Cache<Sent, Full<K>>;
/// Objects of a kind, cut down.
pub type Cut<K> = Cache<Sent, Trimmed<K>>;
/// Metadata of the objects of a kind.
pub type Metadata = Cache<PartialObjectMeta<DynamicObject>, Slim>;

/// Every cache.
pub struct Caches {
    /// Storefronts.
    pub storefronts: Arc<Whole<Storefront>>,
    /// ServiceDeployments.
    pub service_deployments: Arc<Whole<ServiceDeployment>>,
    /// DatabaseBindings.
    pub database_bindings: Arc<Whole<DatabaseBinding>>,
    /// Gateway classes, of any controller.
    pub gateway_classes: Arc<Whole<GatewayClass>>,
    /// Gateways, of any class.
    pub gateways: Arc<Whole<Gateway>>,
    /// Routes.
    pub http_routes: Arc<Whole<HTTPRoute>>,
    /// Policies that ask for TLS towards backends; a cluster may not know the kind.
    pub backend_tls_policies: Arc<Whole<BackendTLSPolicy>>,
    /// JWT policies.
    pub jwt_policies: Arc<Whole<JwtPolicy>>,
    /// Rate limit policies.
    pub rate_limit_policies: Arc<Whole<RateLimitPolicy>>,
    /// Services, also those of others: routes may lead to them.
    pub services: Arc<Cut<Service>>,
    /// Our Deployments.
    pub deployments: Arc<Cut<Deployment>>,
    /// Our StatefulSets.
    pub stateful_sets: Arc<Cut<StatefulSet>>,
    /// Our Jobs.
    pub jobs: Arc<Cut<Job>>,
    /// Autoscalers, also those of others: they may scale what is ours. They have no generation, so they are kept
    /// whole.
    pub autoscalers: Arc<Whole<HorizontalPodAutoscaler>>,
    /// Our pods, and what those that are not well report.
    pub pods: Arc<Cache<Sent, SlimPod>>,
    /// Events about pods whose probes succeed with a warning.
    pub probe_warnings: Arc<Cache<Sent, ProbeWarning>>,
    /// The claims of shops' servers.
    pub volume_claims: Arc<Cache<PartialObjectMeta<DynamicObject>, VolumeClaim>>,
    /// Metadata of our Secrets.
    pub secrets: Arc<Metadata>,
    /// Metadata of our ServiceAccounts; one of `metadata`.
    pub service_accounts: Arc<Metadata>,
    /// Our objects of the kinds of which nothing is read.
    pub metadata: Vec<Arc<Metadata>>,
    children: HashMap<(String, String), Arc<dyn Children>>,
}

/// One child of a custom resource, as a watch or an answer showed it.
pub struct Child {
    /// Which object.
    pub key: ObjectKey,
    /// Where the API server serves it.
    pub resource: ApiResource,
    /// Its resourceVersion.
    pub version: Option<String>,
    /// See [`crate::slim::revision_of`].
    pub revision: u64,
    /// What is known of it.
    pub live: Live,
    /// All of it, where it is kept whole.
    pub whole: Option<Value>,
}

/// A cache seen as holding children, whatever its kind.
trait Children: Send + Sync {
    fn owned_by(&self, uid: &str) -> Vec<Child>;
    fn child(&self, key: &ObjectKey) -> Option<Child>;
    fn covers(&self, key: &Key) -> bool;
    fn record(&self, answer: &Value, live: &Live);
}

/// A cached object, seen as a child.
trait AsChild: Tracked + Sized {
    /// What is kept of an object, from the answer to a write of it.
    fn of_answer(answer: &Value, live: &Live) -> Option<Self>;
    fn live(&self) -> Live;
    fn whole(&self) -> Option<Value>;
}

impl AsChild for Slim {
    fn of_answer(answer: &Value, _live: &Live) -> Option<Self> {
        let meta = ObjectMeta::deserialize(answer.get("metadata")?);
        meta.ok().map(|meta| Self::of(&meta))
    }

    fn live(&self) -> Live {
        Live::Other
    }

    fn whole(&self) -> Option<Value> {
        None
    }
}

impl<K: Trim + Readable> AsChild for Trimmed<K> {
    fn of_answer(_answer: &Value, live: &Live) -> Option<Self> {
        K::of(live).map(|object| Self::of(K::clone(object)))
    }

    fn live(&self) -> Live {
        K::into_live(Arc::clone(&self.object))
    }

    fn whole(&self) -> Option<Value> {
        None
    }
}

impl<K: Readable + Serialize + Send + Sync> AsChild for Full<K> {
    fn of_answer(_answer: &Value, live: &Live) -> Option<Self> {
        K::of(live).map(|object| Self(Arc::clone(object)))
    }

    fn live(&self) -> Live {
        K::into_live(Arc::clone(&self.0))
    }

    fn whole(&self) -> Option<Value> {
        // One that cannot be written as JSON is read from the API server instead.
        serde_json::to_value(&*self.0).ok()
    }
}

impl<W, V> Children for Cache<W, V>
where
    W: 'static,
    V: AsChild,
{
    fn owned_by(&self, uid: &str) -> Vec<Child> {
        let keys = self.store.owned_by(uid);
        keys.iter()
            .filter_map(|key| self.child(&object_key(&self.resource, key)))
            .collect()
    }

    fn child(&self, key: &ObjectKey) -> Option<Child> {
        let seen = self
            .store
            .get(&Key::new(key.namespace.clone(), key.name.clone()))?;
        Some(Child {
            key: key.clone(),
            resource: self.resource.clone(),
            version: seen.version().map(str::to_owned),
            revision: seen.revision(),
            live: seen.live(),
            whole: seen.whole(),
        })
    }

    fn covers(&self, key: &Key) -> bool {
        self.store.covers(key)
    }

    fn record(&self, answer: &Value, live: &Live) {
        // What does not decode is left to the watch.
        if let Some(object) = V::of_answer(answer, live) {
            Self::record(self, object);
        }
    }
}

impl Default for Caches {
    fn default() -> Self {
        let service_accounts = metadata::<ServiceAccount>();
        let mut caches = Self {
            storefronts: whole(),
            service_deployments: whole(),
            database_bindings: whole(),
            gateway_classes: whole(),
            gateways: whole(),
            http_routes: whole(),
            backend_tls_policies: whole(),
            jwt_policies: whole(),
            rate_limit_policies: whole(),
            services: cut(),
            deployments: cut(),
            stateful_sets: cut(),
            jobs: cut(),
            autoscalers: whole(),
            pods: Arc::new(Cache::new::<Pod>(SlimPod::decode)),
            probe_warnings: Arc::new(Cache::new::<Event>(ProbeWarning::decode)),
            volume_claims: Arc::new(Cache::new::<PersistentVolumeClaim>(VolumeClaim::decode)),
            secrets: metadata::<Secret>(),
            service_accounts: Arc::clone(&service_accounts),
            metadata: vec![
                service_accounts,
                metadata::<PodDisruptionBudget>(),
                metadata::<NetworkPolicy>(),
                metadata::<Role>(),
                metadata::<RoleBinding>(),
            ],
            children: HashMap::new(),
        };
        caches.holds_children(&caches.service_deployments.clone());
        caches.holds_children(&caches.database_bindings.clone());
        caches.holds_children(&caches.gateways.clone());
        caches.holds_children(&caches.http_routes.clone());
        caches.holds_children(&caches.jwt_policies.clone());
        caches.holds_children(&caches.rate_limit_policies.clone());
        caches.holds_children(&caches.services.clone());
        caches.holds_children(&caches.deployments.clone());
        caches.holds_children(&caches.stateful_sets.clone());
        caches.holds_children(&caches.jobs.clone());
        caches.holds_children(&caches.autoscalers.clone());
        caches.holds_children(&caches.secrets.clone());
        for cache in caches.metadata.clone() {
            caches.holds_children(&cache);
        }
        caches
    }
}

impl Caches {
    fn holds_children<W, V>(&mut self, cache: &Arc<Cache<W, V>>)
    where
        W: 'static,
        V: AsChild,
    {
        let kind = (cache.resource.group.clone(), cache.resource.kind.clone());
        let cache: Arc<dyn Children> = Arc::clone(cache) as _;
        self.children.insert(kind, cache);
    }

    fn of(&self, key: &ObjectKey) -> Option<&Arc<dyn Children>> {
        self.children.get(&(key.group.clone(), key.kind.clone()))
    }

    /// Every cached child whose controller has this uid.
    pub fn children_of(&self, uid: &str) -> Vec<Child> {
        let mut found: Vec<Child> = self
            .children
            .values()
            .flat_map(|cache| cache.owned_by(uid))
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// One cached child; `None` when it does not exist, is not ours, or its kind is not watched.
    pub fn child(&self, key: &ObjectKey) -> Option<Child> {
        self.of(key)?.child(key)
    }

    /// Whether a child that is not cached does not exist, or at least is not ours.
    pub fn covers(&self, key: &ObjectKey) -> bool {
        let place = Key::new(key.namespace.clone(), key.name.clone());
        self.of(key).is_some_and(|cache| cache.covers(&place))
    }

    /// Whether an autoscaler that was not made for the object with this uid scales this.
    pub fn is_scaled(&self, namespace: &str, target: Target<'_>, uid: &str) -> bool {
        let scalers = self.autoscalers.store.objects_in(namespace);
        let mut scalers = scalers.iter();
        scalers.any(|scaler| is_foreign(scaler, target, uid))
    }

    /// When the ServiceAccount of a Deployment with its name was made, if that was after the Deployment was: somebody deleted the
    /// one before, and the tokens that its pods had of that one are refused.
    pub fn newer_account(&self, key: &Key) -> Option<Timestamp> {
        let made = self.service_accounts.store.get(key)?.made?;
        let deployment = self.deployments.store.get(key)?;
        let deployed = deployment.object.metadata.creation_timestamp.as_ref()?.0;
        (made > deployed).then_some(made)
    }

    /// Takes the answer to a write of a child, which has no managedFields. Returns what it shows.
    pub fn record(&self, key: &ObjectKey, answer: &Value) -> Live {
        let live = Live::decode(key, answer);
        if let Some(cache) = self.of(key) {
            cache.record(answer, &live);
        }
        live
    }
}

/// A kind that is kept whole, and found in the caches by its type.
pub trait CachedKind:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Its cache.
    fn cache(caches: &Caches) -> &Arc<Whole<Self>>;
}

macro_rules! cached {
    ($($kind:ty: $field:ident),+ $(,)?) => {
        $(impl CachedKind for $kind {
            fn cache(caches: &Caches) -> &Arc<Whole<Self>> {
                &caches.$field
            }
        })+
    };
}

cached! {
    Storefront: storefronts,
    ServiceDeployment: service_deployments,
    DatabaseBinding: database_bindings,
    GatewayClass: gateway_classes,
    Gateway: gateways,
    HTTPRoute: http_routes,
    BackendTLSPolicy: backend_tls_policies,
    JwtPolicy: jwt_policies,
    RateLimitPolicy: rate_limit_policies,
}

fn whole<K>() -> Arc<Whole<K>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
{
    Arc::new(Cache::new::<K>(decode_whole))
}

fn cut<K: Trim>() -> Arc<Cut<K>> {
    Arc::new(Cache::new::<K>(Trimmed::decode))
}

fn metadata<K: Resource<DynamicType = ()>>() -> Arc<Metadata> {
    Arc::new(Cache::new::<K>(Slim::decode))
}

fn object_key(resource: &ApiResource, key: &Key) -> ObjectKey {
    ObjectKey {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}
