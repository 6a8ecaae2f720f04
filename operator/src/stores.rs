//! What the watches know, kind by kind.

use std::collections::HashMap;
use std::sync::Arc;

use crds::{DatabaseBinding, JwtPolicy, RateLimitPolicy, ServiceDeployment, Storefront};
use gateway_routes::api::{Gateway, GatewayClass, HTTPRoute};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Resource;
use kube::core::ApiResource;
use operator_plan::ObjectKey;
use serde::Serialize;
use serde_json::Value;

use kube_cache::{Cached, Full, Key, Store};

use crate::slim::Slim;

/// A store of whole objects.
pub type Objects<K> = Arc<Store<Full<K>>>;

/// Every store.
pub struct Stores {
    /// Shops.
    pub storefronts: Objects<Storefront>,
    /// Services of shops.
    pub service_deployments: Objects<ServiceDeployment>,
    /// Databases of shops.
    pub database_bindings: Objects<DatabaseBinding>,
    /// Gateway classes, of any controller.
    pub gateway_classes: Objects<GatewayClass>,
    /// Gateways, of any class.
    pub gateways: Objects<Gateway>,
    /// Routes.
    pub http_routes: Objects<HTTPRoute>,
    /// JWT policies.
    pub jwt_policies: Objects<JwtPolicy>,
    /// Rate limit policies.
    pub rate_limit_policies: Objects<RateLimitPolicy>,
    /// Services, cut down to what routing needs.
    pub services: Objects<Service>,
    /// Kinds of which only version and owner are held.
    pub slim: Vec<SlimKind>,
    children: HashMap<(String, String), Arc<dyn Children>>,
}

/// A kind of which only version and owner are held.
pub struct SlimKind {
    /// Where the API server serves it.
    pub resource: ApiResource,
    /// What is held.
    pub store: Arc<Store<Slim>>,
}

/// One child of a custom resource, as a watch saw it.
pub struct Child {
    /// Which object.
    pub key: ObjectKey,
    /// Where the API server serves it.
    pub resource: ApiResource,
    /// Its version.
    pub version: Option<String>,
    /// All of it, where it is held whole.
    pub live: Option<Value>,
}

/// A store seen as holding children, whatever its kind.
trait Children: Send + Sync {
    fn owned_by(&self, uid: &str) -> Vec<Child>;
    fn child(&self, key: &ObjectKey) -> Option<Child>;
}

struct Shelf<V> {
    resource: ApiResource,
    store: Arc<Store<V>>,
    live: fn(&V) -> Option<Value>,
}

impl<V: Cached> Children for Shelf<V> {
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
            live: (self.live)(&seen),
        })
    }
}

impl Default for Stores {
    fn default() -> Self {
        let mut stores = Self {
            storefronts: Arc::default(),
            service_deployments: Arc::default(),
            database_bindings: Arc::default(),
            gateway_classes: Arc::default(),
            gateways: Arc::default(),
            http_routes: Arc::default(),
            jwt_policies: Arc::default(),
            rate_limit_policies: Arc::default(),
            services: Arc::default(),
            slim: slim_kinds(),
            children: HashMap::new(),
        };
        stores.put(whole(&stores.service_deployments));
        stores.put(whole(&stores.database_bindings));
        stores.put(whole(&stores.gateways));
        stores.put(whole(&stores.http_routes));
        stores.put(whole(&stores.jwt_policies));
        stores.put(whole(&stores.rate_limit_policies));
        let services = Shelf {
            resource: ApiResource::erase::<Service>(&()),
            store: Arc::clone(&stores.services),
            // What is held is cut down: it cannot stand for the whole object.
            live: |_| None,
        };
        stores.put(services);
        let slim: Vec<_> = stores
            .slim
            .iter()
            .map(|kind| Shelf {
                resource: kind.resource.clone(),
                store: Arc::clone(&kind.store),
                live: |_: &Slim| None,
            })
            .collect();
        for shelf in slim {
            stores.put(shelf);
        }
        stores
    }
}

impl Stores {
    fn put<V: Cached>(&mut self, entry: Shelf<V>) {
        let kind = (entry.resource.group.clone(), entry.resource.kind.clone());
        self.children.insert(kind, Arc::new(entry));
    }

    /// Every watched child whose controller has this uid.
    pub fn children_of(&self, uid: &str) -> Vec<Child> {
        let mut found: Vec<Child> = self
            .children
            .values()
            .flat_map(|shelf| shelf.owned_by(uid))
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// One watched child; `None` when it is not there or its kind is not watched.
    pub fn child(&self, key: &ObjectKey) -> Option<Child> {
        self.children
            .get(&(key.group.clone(), key.kind.clone()))?
            .child(key)
    }
}

fn whole<K>(store: &Objects<K>) -> Shelf<Full<K>>
where
    K: Resource<DynamicType = ()> + Serialize + Send + Sync + 'static,
{
    Shelf {
        resource: ApiResource::erase::<K>(&()),
        store: Arc::clone(store),
        // An object that cannot be written as JSON is read from the API server instead.
        live: |full| serde_json::to_value(&*full.0).ok(),
    }
}

fn slim_kinds() -> Vec<SlimKind> {
    [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
        ApiResource::erase::<HorizontalPodAutoscaler>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<Role>(&()),
        ApiResource::erase::<RoleBinding>(&()),
    ]
    .into_iter()
    .map(|resource| SlimKind {
        resource,
        store: Arc::default(),
    })
    .collect()
}

fn object_key(resource: &ApiResource, key: &Key) -> ObjectKey {
    ObjectKey {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}
