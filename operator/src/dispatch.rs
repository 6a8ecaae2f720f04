//! Which objects are reconciled after a change.
//!
//! The answers to this process's own writes arrive here too, before their watch events (which then are no
//! change any more). They concern others as any change does, but not whoever wrote.

mod change;
mod hosts;

use std::sync::Arc;
use std::time::Duration;

use crds::{Condition, DatabaseBinding, DatabaseGrant, ServiceDeployment, Storefront};
use gateway_routes::api::{Gateway, GatewayClass, HTTPRoute, ParentReference};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Resource;
use kube_cache::{Cached, Change, Full, Key, Owner, Source};
use operator_plan::conditions::find;
use operator_plan::creating::PATIENCE;
use operator_plan::names;
use operator_plan::scaling::{Target, target};
use operator_plan::service_deployment::{are_rivals, bindings_of};
use operator_plan::storefront::team_clients;

use crate::caches::Caches;
use crate::controller::DEBOUNCE;
use crate::metrics::Metrics;
use crate::queue::{Priority, Queue};
use crate::secrets::{Secrets, Subscriber};
use crate::slim::{Slim, SlimPod, Tracked, Trimmed};
use crate::volumes::VolumeClaim;
use crate::warned::ProbeWarning;

use self::change::{concerns_owner, key_of, news, no_longer, objects, primary, priority, source};

/// Time after which the owner of a pod that has no containers yet looks why, see [`operator_plan::creating`]. Most have some by
/// then, and what happens to them makes it look earlier.
const CREATING: Duration = PATIENCE.unsigned_abs();

/// One queue for each controller.
#[derive(Clone)]
pub struct Queues {
    /// Storefronts.
    pub storefronts: Arc<Queue>,
    /// ServiceDeployments.
    pub services: Arc<Queue>,
    /// DatabaseBindings.
    pub bindings: Arc<Queue>,
    /// GatewayClasses.
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

    /// A child changed: its owner, if anything that it reads of the child did.
    pub fn owner<V: Tracked>(&self, change: &Change<V>) {
        if !concerns_owner(change) {
            return;
        }
        let priority = priority(change);
        for object in objects(change) {
            if let Some(owner) = object.owner() {
                self.add(&owner, &object.key().namespace, priority);
            }
        }
    }

    fn add(&self, owner: &Owner, namespace: &str, priority: Priority) {
        self.add_later(owner, namespace, (DEBOUNCE, priority));
    }

    fn add_later(&self, owner: &Owner, namespace: &str, (delay, priority): (Duration, Priority)) {
        if let Some(queue) = self.of_kind(&owner.kind) {
            let key = Key::new(namespace, owner.name.clone());
            queue.add_after(key, delay, priority);
        }
    }

    fn of_kind(&self, kind: &str) -> Option<&Arc<Queue>> {
        match kind {
            "Storefront" => Some(&self.storefronts),
            "ServiceDeployment" => Some(&self.services),
            "DatabaseBinding" => Some(&self.bindings),
            "Gateway" => Some(&self.gateways),
            _ => None,
        }
    }

    /// A Storefront changed: itself, and what belongs to it.
    pub fn storefront(&self, caches: &Caches, change: &Change<Full<Storefront>>) {
        self.sharers(caches, change);
        let Some((key, urgency)) = primary(&self.storefronts, change) else {
            return;
        };
        for service in caches.service_deployments.store.objects_in(&key.namespace) {
            if service.spec.storefront_ref.name == key.name {
                self.services
                    .add_after(Key::of(&*service), DEBOUNCE, urgency);
            }
        }
        self.bindings_of(caches, &key, urgency);
        for shop in objects(change) {
            let services = shop.0.spec.services.values();
            self.granted(services.flat_map(|it| &it.grants), &key, urgency);
        }
        // Its Gateway has its name, and is left alone while the shop is paused.
        self.gateways.add_after(key, DEBOUNCE, urgency);
    }

    /// Bindings that may open a database, or no longer may.
    fn granted<'a>(
        &self,
        grants: impl Iterator<Item = &'a DatabaseGrant>,
        owner: &Key,
        urgency: Priority,
    ) {
        for grant in grants {
            let key = Key::new(owner.namespace.clone(), grant.binding.clone());
            self.bindings.add_after(key, DEBOUNCE, urgency);
        }
    }

    fn bindings_of(&self, caches: &Caches, shop: &Key, urgency: Priority) {
        for binding in caches.database_bindings.store.objects_in(&shop.namespace) {
            if binding.spec.server_ref.storefront.as_deref() == Some(shop.name.as_str()) {
                self.bindings
                    .add_after(Key::of(&*binding), DEBOUNCE, urgency);
            }
        }
    }

    /// A ServiceDeployment changed: itself, and those that want a path that it has, had or wants.
    pub fn service(&self, caches: &Caches, change: &Change<Full<ServiceDeployment>>) {
        self.owner(change);
        self.audit_databases(change);
        let Some((key, urgency)) = primary(&self.services, change) else {
            return;
        };
        self.client(change, &key, urgency);
        let about = objects(change);
        for other in caches.service_deployments.store.objects_in(&key.namespace) {
            let mut about = about.iter();
            if about.any(|service| are_rivals(&service.0, &other)) {
                self.services.add_after(Key::of(&*other), DEBOUNCE, urgency);
            }
        }
    }

    /// A workload is no longer ready: its databases are audited, for nothing else shows that one is gone.
    fn audit_databases(&self, change: &Change<Full<ServiceDeployment>>) {
        let Some(new) = no_longer(change, |it| is_ready(&it.0)) else {
            return;
        };
        let key = Key::of(&*new.0);
        for name in bindings_of(&new.0) {
            let binding = Key::new(key.namespace.clone(), name);
            self.bindings.add_after(binding, DEBOUNCE, Priority::High);
        }
    }

    /// A shop's servers have to know another user, or no longer one.
    fn client(&self, change: &Change<Full<ServiceDeployment>>, key: &Key, urgency: Priority) {
        let (before, after) = match change {
            Change::Set { old, new, .. } => (old.as_ref(), Some(new)),
            Change::Gone(old) => (Some(old), None),
            Change::Undecodable(_) => (None, None),
        };
        let known = |service: Option<&Arc<Full<ServiceDeployment>>>| {
            let service = &service?.0;
            let shop = service.spec.storefront_ref.name.clone();
            let client = team_clients(&shop, [&**service]).pop()?;
            Some((shop, client))
        };
        let (before, after) = (known(before), known(after));
        if before != after {
            for (shop, _) in before.into_iter().chain(after) {
                let shop = Key::new(key.namespace.clone(), shop);
                self.storefronts.add_after(shop, DEBOUNCE, urgency);
            }
        }
    }

    /// A binding no longer has its database: the others of the same server are audited too, for what is wrong may
    /// concern them, and nobody else may use them.
    fn audit_neighbours(&self, caches: &Caches, change: &Change<Full<DatabaseBinding>>) {
        let Some(new) = no_longer(change, |it| has_database(&it.0)) else {
            return;
        };
        let key = new.key();
        for other in caches.database_bindings.store.objects_in(&key.namespace) {
            let there = Key::of(&*other);
            if there != key && other.spec.server_ref == new.0.spec.server_ref {
                self.bindings.add_after(there, DEBOUNCE, Priority::High);
            }
        }
    }

    /// A DatabaseBinding changed: itself, and the workloads that use it, for its status names the Secret.
    pub fn binding(&self, caches: &Caches, change: &Change<Full<DatabaseBinding>>) {
        let news = primary(&self.bindings, change);
        self.owner(change);
        self.audit_neighbours(caches, change);
        let key = key_of(change);
        if let Some((_, urgency)) = news {
            for binding in objects(change) {
                self.granted(binding.0.spec.grants.iter(), &key, urgency);
            }
        }
        for service in caches.service_deployments.store.objects_in(&key.namespace) {
            let mut bound = service.spec.bindings.iter();
            if bound.any(|b| b.database_binding.as_ref() == Some(&key.name)) {
                self.services
                    .add_after(Key::of(&*service), DEBOUNCE, priority(change));
            }
        }
    }

    /// A StatefulSet changed: its owner. Where it is a shop's database server, also the bindings: once it has a ready
    /// pod, for which they wait, and when it has none any more.
    pub fn stateful_set(&self, caches: &Caches, change: &Change<Trimmed<StatefulSet>>) {
        self.owner(change);
        let Change::Set { old, new, .. } = change else {
            return;
        };
        let has_changed = old.as_deref().is_some_and(has_ready_pod) != has_ready_pod(new);
        let key = new.key();
        let has_databases = |owner: &Owner| {
            owner.kind == "Storefront" && key.name == names::child(&owner.name, "postgres")
        };
        if let Some(owner) = new.owner().filter(has_databases)
            && has_changed
        {
            let shop = Key::new(key.namespace, owner.name);
            self.bindings_of(caches, &shop, priority(change));
        }
    }

    /// A pod changed: the owner of its workload, if the pod reports something else than before.
    pub fn pod(&self, caches: &Caches, change: &Change<SlimPod>) {
        if let Change::Set { old, new, .. } = change
            && new.is_creating
            && old.as_ref().is_none_or(|old| !old.is_creating)
        {
            self.owner_of_pod(caches, new, (CREATING, Priority::Low));
        }
        if !concerns_owner(change) {
            return;
        }
        for pod in objects(change) {
            self.owner_of_pod(caches, pod, (DEBOUNCE, priority(change)));
        }
    }

    /// Somebody deletes a volume claim of a server, or it is gone: its shop.
    pub fn volume_claim(&self, change: &Change<VolumeClaim>) {
        let leaves = |claim: &VolumeClaim| claim.leaving.is_some();
        let (claim, is_news) = match change {
            Change::Set { old, new, .. } => {
                (new, old.as_deref().is_some_and(leaves) != leaves(new))
            }
            Change::Gone(old) => (old, leaves(old)),
            Change::Undecodable(_) => return,
        };
        if let Some(shop) = claim.shop().filter(|_| is_news) {
            self.storefronts.add_after(shop, DEBOUNCE, priority(change));
        }
    }

    /// A probe of a pod succeeded with a warning: the owner of its workload asks what the process does without.
    /// What the first list holds is old, and everything is reconciled then anyway.
    pub fn warned(&self, caches: &Caches, change: &Change<ProbeWarning>) {
        let (Change::Set { new, .. }, Source::Watch) = (change, source(change)) else {
            return;
        };
        let pod = new.pod.as_ref();
        if let Some(pod) = pod.and_then(|pod| caches.pods.store.get(pod)) {
            self.owner_of_pod(caches, &pod, (DEBOUNCE, Priority::High));
        }
    }

    fn owner_of_pod(&self, caches: &Caches, pod: &SlimPod, (delay, urgency): (Duration, Priority)) {
        let Some(workload) = pod.owner() else {
            return;
        };
        let key = Key::new(pod.key().namespace, workload.name);
        let owner = match workload.kind.as_str() {
            "Deployment" => caches.deployments.store.get(&key).and_then(|it| it.owner()),
            "StatefulSet" => caches
                .stateful_sets
                .store
                .get(&key)
                .and_then(|it| it.owner()),
            "Job" => caches.jobs.store.get(&key).and_then(|it| it.owner()),
            _ => None,
        };
        if let Some(owner) = owner {
            self.add_later(&owner, &key.namespace, (delay, urgency));
            if owner.kind == "Gateway" && delay == DEBOUNCE {
                // Another pod of a data plane has to fetch the keys of policies.
                self.namespace(&key, urgency);
            }
        }
    }

    /// An autoscaler changed: its owner, and whoever writes the number of pods that it decides, or no longer does.
    pub fn autoscaler(&self, caches: &Caches, change: &Change<Full<HorizontalPodAutoscaler>>) {
        self.owner(change);
        let targets: Vec<Option<Target<'_>>> = objects(change)
            .into_iter()
            .map(|it| target(&it.0))
            .collect();
        // It writes its status all the time.
        if matches!(change, Change::Set { old: Some(_), .. })
            && targets.windows(2).all(|it| it[0] == it[1])
        {
            return;
        }
        let namespace = key_of(change).namespace;
        let (deployments, services) = (&caches.deployments, &caches.service_deployments);
        for target in targets.into_iter().flatten() {
            let here = |name| Key::new(namespace.clone(), name);
            let owner = match target {
                Target::Deployment(name) => {
                    deployments.store.get(&here(name)).and_then(|it| it.owner())
                }
                Target::ServiceDeployment(name) => {
                    self.services
                        .add_after(here(name), DEBOUNCE, priority(change));
                    services.store.get(&here(name)).and_then(|it| it.owner())
                }
            };
            if let Some(owner) = owner {
                self.add(&owner, &namespace, priority(change));
            }
        }
    }

    /// A Secret changed: its owner, and whoever depends on it.
    pub fn secret(&self, secrets: &Secrets, change: &Change<Slim>) {
        self.owner(change);
        if let Change::Set {
            old: Some(old),
            new,
            ..
        } = change
            && old.is_same(new)
        {
            return;
        }
        let key = key_of(change);
        if let Change::Gone(_) = change {
            secrets.forget(&key);
        }
        for Subscriber { kind, key } in secrets.subscribers(&key) {
            // The Secrets that a shop depends on are its own or its user's: its own writes are no news.
            if kind == "Storefront" && source(change) == Source::Write {
                continue;
            }
            if kind == "Gateway" {
                self.namespace(&key, priority(change));
            }
            if let Some(queue) = self.of_kind(&kind) {
                queue.add_after(key, DEBOUNCE, priority(change));
            }
        }
    }

    /// A class changed: its Gateways may have become ours, or no longer be.
    pub fn class(&self, caches: &Caches, change: &Change<Full<GatewayClass>>) {
        let Some((key, urgency)) = primary(&self.classes, change) else {
            return;
        };
        for gateway in caches.gateways.store.all() {
            if gateway.0.spec.gateway_class_name == key.name {
                self.gateways.add_after(gateway.key(), DEBOUNCE, urgency);
                self.namespace(&gateway.key(), urgency);
            }
        }
    }

    /// A Gateway changed: itself, its routes, those of other namespaces that name it included, and the shop
    /// that it belongs to.
    pub fn gateway(&self, caches: &Caches, change: &Change<Full<Gateway>>) {
        if let Some((key, urgency)) = primary(&self.gateways, change) {
            self.namespace(&key, urgency);
            for route in caches.http_routes.store.all() {
                let home = route.key().namespace;
                let mut parents = route.0.spec.parent_refs.iter().flatten();
                let names = |parent: &ParentReference| {
                    parent.namespace.as_ref() == Some(&key.namespace) && parent.name == key.name
                };
                if home != key.namespace && parents.any(names) {
                    self.namespace(&route.key(), urgency);
                }
            }
        }
        self.owner(change);
    }

    /// A route changed: its namespace, its Gateways, which count it, and its owner.
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
    pub fn backend<V: Tracked>(&self, change: &Change<V>) {
        self.owner(change);
        self.namespace(&key_of(change), priority(change));
    }

    fn namespace(&self, key: &Key, urgency: Priority) {
        self.routes
            .add_after(Key::new(key.namespace.clone(), ""), DEBOUNCE, urgency);
    }
}

fn is_ready(service: &ServiceDeployment) -> bool {
    let status = service.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, "Ready"));
    ready.is_some_and(Condition::is_true)
}

fn has_database(binding: &DatabaseBinding) -> bool {
    let status = binding.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, "DatabaseReady"));
    ready.is_some_and(Condition::is_true)
}

fn has_ready_pod(set: &Trimmed<StatefulSet>) -> bool {
    let status = set.object.status.as_ref();
    status
        .and_then(|status| status.ready_replicas)
        .is_some_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests;
