//! Who has to look when something changed. Deletions always reach somebody: no filter applies to them.

use std::sync::Arc;

use crds::{DatabaseBinding, ServiceDeployment, Storefront};
use gateway_routes::api::{Gateway, GatewayClass, HTTPRoute};
use kube::Resource;
use kube::core::ObjectMeta;
use operator_plan::service_deployment::are_rivals;

use crate::controller::DEBOUNCE;
use crate::metrics::Metrics;
use crate::queue::{Priority, Queue};
use crate::stores::Stores;
use kube_cache::{Cached, Change, Full, Key, Owner, Source};

/// One queue for each controller.
#[derive(Clone)]
pub struct Queues {
    /// Shops.
    pub storefronts: Arc<Queue>,
    /// Workloads.
    pub services: Arc<Queue>,
    /// Databases.
    pub bindings: Arc<Queue>,
    /// Gateway classes.
    pub classes: Arc<Queue>,
    /// Gateways.
    pub gateways: Arc<Queue>,
    /// Namespaces with routes.
    pub routes: Arc<Queue>,
}

impl Queues {
    /// Empty queues.
    pub fn new(metrics: &Metrics) -> Self {
        let queue = |name| Arc::new(Queue::new(name, metrics.clone()));
        Self {
            storefronts: queue("storefront"),
            services: queue("servicedeployment"),
            bindings: queue("databasebinding"),
            classes: queue("gatewayclass"),
            gateways: queue("gateway"),
            routes: queue("httproute"),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Queue>> {
        let Self {
            storefronts,
            services,
            bindings,
            classes,
            gateways,
            routes,
        } = self;
        [storefronts, services, bindings, classes, gateways, routes]
            .map(Arc::clone)
            .to_vec()
    }

    /// The owner of a child looks, whatever changed on the child: its status counts too.
    pub fn owner<V: Cached>(&self, change: &Change<V>) {
        let (objects, listed) = match change {
            Change::Set { old, new, source } => {
                (vec![old.as_ref(), Some(new)], *source == Source::List)
            }
            Change::Gone(old) => (vec![Some(old)], false),
            Change::Undecodable(_) => return,
        };
        for object in objects.into_iter().flatten() {
            let Some(owner) = object.owner() else {
                continue;
            };
            if let Some(queue) = self.of_kind(&owner) {
                let key = Key::new(object.key().namespace, owner.name);
                queue.add_after(key, DEBOUNCE, priority(listed));
            }
        }
    }

    fn of_kind(&self, owner: &Owner) -> Option<&Arc<Queue>> {
        match owner.kind.as_str() {
            "Storefront" => Some(&self.storefronts),
            "ServiceDeployment" => Some(&self.services),
            "DatabaseBinding" => Some(&self.bindings),
            "Gateway" => Some(&self.gateways),
            _ => None,
        }
    }

    /// A shop changed: it looks, and so does what belongs to it.
    pub fn storefront(&self, stores: &Stores, change: &Change<Full<Storefront>>) {
        let Some((key, urgency)) = primary(&self.storefronts, change) else {
            return;
        };
        for service in stores.service_deployments.objects_in(&key.namespace) {
            if service.spec.storefront_ref.name == key.name {
                self.services
                    .add_after(Key::of(&*service), DEBOUNCE, urgency);
            }
        }
        for binding in stores.database_bindings.objects_in(&key.namespace) {
            if binding.spec.server_ref.storefront.as_deref() == Some(key.name.as_str()) {
                self.bindings
                    .add_after(Key::of(&*binding), DEBOUNCE, urgency);
            }
        }
    }

    /// A workload changed: it looks, and so do those that want a path that it has, had or wants.
    pub fn service(&self, stores: &Stores, change: &Change<Full<ServiceDeployment>>) {
        self.owner(change);
        let Some((key, urgency)) = primary(&self.services, change) else {
            return;
        };
        let about = match change {
            Change::Set { old, new, .. } => vec![old.as_ref(), Some(new)],
            Change::Gone(old) => vec![Some(old)],
            Change::Undecodable(_) => return,
        };
        for other in stores.service_deployments.objects_in(&key.namespace) {
            let mut about = about.iter().flatten();
            if about.any(|service| are_rivals(&service.0, &other)) {
                self.services.add_after(Key::of(&*other), DEBOUNCE, urgency);
            }
        }
    }

    /// A database changed: it looks, and so do the workloads that use it, for its status names the Secret.
    pub fn binding(&self, stores: &Stores, change: &Change<Full<DatabaseBinding>>) {
        primary(&self.bindings, change);
        self.owner(change);
        let (key, listed) = key_of(change);
        for service in stores.service_deployments.objects_in(&key.namespace) {
            let bound = service.spec.bindings.iter();
            if bound
                .into_iter()
                .any(|b| b.database_binding.as_ref() == Some(&key.name))
            {
                self.services
                    .add_after(Key::of(&*service), DEBOUNCE, priority(listed));
            }
        }
    }

    /// A class changed: its Gateways may have become ours, or no longer be.
    pub fn class(&self, stores: &Stores, change: &Change<Full<GatewayClass>>) {
        let Some((key, urgency)) = primary(&self.classes, change) else {
            return;
        };
        for gateway in stores.gateways.all() {
            if gateway.0.spec.gateway_class_name == key.name {
                self.gateways.add_after(gateway.key(), DEBOUNCE, urgency);
                self.namespace(&gateway.key(), urgency);
            }
        }
    }

    /// A Gateway changed: it looks, its routes look, and the shop that it belongs to.
    pub fn gateway(&self, change: &Change<Full<Gateway>>) {
        if let Some((key, urgency)) = primary(&self.gateways, change) {
            self.namespace(&key, urgency);
        }
        self.owner(change);
    }

    /// A route changed: its namespace looks, its Gateways count it, and so does who owns it.
    pub fn route(&self, change: &Change<Full<HTTPRoute>>) {
        self.owner(change);
        let Some((key, urgency)) = news(change) else {
            return;
        };
        self.namespace(&key, urgency);
        let (Change::Set { new: route, .. } | Change::Gone(route)) = change else {
            return;
        };
        for parent in route.0.spec.parent_refs.iter().flatten() {
            let gateway = Key::new(key.namespace.clone(), parent.name.clone());
            self.gateways.add_after(gateway, DEBOUNCE, urgency);
        }
    }

    /// A policy changed.
    pub fn policy<K: Resource + Send + Sync + 'static>(&self, change: &Change<Full<K>>) {
        self.owner(change);
        if let Some((key, urgency)) = news(change) {
            self.namespace(&key, urgency);
        }
    }

    /// A Service changed: routes may lead to it.
    pub fn backend<V: Cached>(&self, change: &Change<V>) {
        self.owner(change);
        let (key, listed) = key_of(change);
        self.namespace(&key, priority(listed));
    }

    fn namespace(&self, key: &Key, urgency: Priority) {
        self.routes
            .add_after(Key::new(key.namespace.clone(), ""), DEBOUNCE, urgency);
    }
}

fn priority(listed: bool) -> Priority {
    if listed {
        Priority::Low
    } else {
        Priority::High
    }
}

fn key_of<V: Cached>(change: &Change<V>) -> (Key, bool) {
    match change {
        Change::Set { new, source, .. } => (new.key(), *source == Source::List),
        Change::Gone(old) => (old.key(), false),
        Change::Undecodable(key) => (key.clone(), false),
    }
}

/// The object itself looks, if there is news for it.
fn primary<K>(queue: &Queue, change: &Change<Full<K>>) -> Option<(Key, Priority)>
where
    K: Resource + Send + Sync + 'static,
{
    let (key, urgency) = news(change)?;
    queue.add(key.clone(), urgency);
    Some((key, urgency))
}

/// What is news of an object for itself: everything but its status, which it writes itself.
fn news<K>(change: &Change<Full<K>>) -> Option<(Key, Priority)>
where
    K: Resource + Send + Sync + 'static,
{
    if let Change::Set {
        old: Some(old),
        new,
        ..
    } = change
        && is_same(old.0.meta(), new.0.meta())
    {
        return None;
    }
    let (key, listed) = key_of(change);
    Some((key, priority(listed)))
}

fn is_same(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    // An object without a generation can change without one, so it is never the same.
    new.generation.is_some()
        && old.generation == new.generation
        && old.uid == new.uid
        && old.deletion_timestamp == new.deletion_timestamp
        && old.finalizers == new.finalizers
        && old.labels == new.labels
        && old.annotations == new.annotations
        && old.owner_references == new.owner_references
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::DatabaseBindingSpec;

    fn binding(generation: i64, version: &str) -> Arc<Full<DatabaseBinding>> {
        let spec: DatabaseBindingSpec =
            serde_json::from_value(serde_json::json!({ "serverRef": { "storefront": "demo" } }))
                .unwrap();
        let mut binding = DatabaseBinding::new("demo-auth", spec);
        binding.metadata.namespace = Some("shops".into());
        binding.metadata.generation = Some(generation);
        binding.metadata.resource_version = Some(version.into());
        Arc::new(Full(Arc::new(binding)))
    }

    #[test]
    fn a_status_is_no_news_but_a_spec_and_a_deletion_are() {
        let set = |old, new| Change::Set {
            old: Some(old),
            new,
            source: Source::Watch,
        };
        assert!(news(&set(binding(1, "1"), binding(1, "2"))).is_none());
        assert!(news(&set(binding(1, "1"), binding(2, "2"))).is_some());
        assert!(news(&Change::Gone(binding(1, "2"))).is_some());
        let mut going = DatabaseBinding::clone(&binding(1, "1").0);
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::now());
        going.metadata.deletion_timestamp = Some(now);
        assert!(news(&set(binding(1, "1"), Arc::new(Full(Arc::new(going))))).is_some());
    }

    #[test]
    fn a_child_wakes_its_owner() {
        let queues = Queues::new(&Metrics::new().unwrap());
        let mut child = DatabaseBinding::clone(&binding(1, "1").0);
        child.metadata.owner_references = Some(vec![
            serde_json::from_value(serde_json::json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "name": "demo",
            "uid": "u", "controller": true }))
            .unwrap(),
        ]);
        queues.owner(&Change::Gone(Arc::new(Full(Arc::new(child)))));
        assert_eq!(queues.storefronts.appointments(), 1);
        assert_eq!(queues.services.appointments(), 0);
    }
}
