//! The watches that fill the caches, and where each reports changes.

use std::fmt::Debug;
use std::sync::Arc;

use futures::future::BoxFuture;
use kube::core::{ApiResource, DynamicObject, DynamicResourceScope, PartialObjectMeta};
use kube::{Api, Resource};
use kube_cache::{Activity, Cached, Callbacks, Change, OnChange, Scope, Sent, Watch, WatchStatus};
use operator_plan::objects::MANAGER;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::caches::Cache;
use crate::context::Context;
use crate::dispatch::Queues;
use crate::{volumes, warned};

/// One watch, not running yet.
pub struct Task {
    /// How it is doing.
    pub status: Arc<WatchStatus>,
    /// Its work.
    pub future: BoxFuture<'static, ()>,
}

/// Makes the watches.
pub struct Watches<'a> {
    /// Where the caches are.
    pub context: &'a Arc<Context>,
    /// What to watch.
    pub scopes: &'a [Scope],
    /// Where the client notes what it receives.
    pub activity: &'a Activity,
    /// Ends them.
    pub stop: &'a CancellationToken,
}

/// Which objects of a kind are watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Also those of others.
    Everybodys,
    /// The same; the cluster may not know the kind.
    EverybodysIfServed,
    /// Those with our label.
    Ours,
    /// The same; the operator can do its work without them.
    OursIfPermitted,
    /// Volume claims of servers; the operator can do its work without them.
    Volumes,
    /// Events about probes with a warning; the operator can do its work without them.
    ProbeWarnings,
}

impl Watches<'_> {
    /// One watch for each kind and scope.
    pub fn all(&self, queues: &Queues) -> Vec<Task> {
        let mut tasks = self.of_custom_resources(queues);
        tasks.extend(self.of_the_edge(queues));
        tasks.extend(self.of_children(queues));
        tasks
    }

    fn of_custom_resources(&self, queues: &Queues) -> Vec<Task> {
        let caches = &self.context.caches;
        let mut tasks = Vec::new();
        let (q, c) = (queues.clone(), Arc::clone(caches));
        tasks.extend(
            self.typed(&caches.storefronts, Whose::Everybodys, move |change| {
                q.storefront(&c, change);
            }),
        );
        let (q, c) = (queues.clone(), Arc::clone(caches));
        tasks.extend(self.typed(
            &caches.service_deployments,
            Whose::Everybodys,
            move |change| q.service(&c, change),
        ));
        let (q, c) = (queues.clone(), Arc::clone(caches));
        tasks.extend(self.typed(
            &caches.database_bindings,
            Whose::Everybodys,
            move |change| q.binding(&c, change),
        ));
        tasks
    }

    fn of_the_edge(&self, queues: &Queues) -> Vec<Task> {
        let caches = &self.context.caches;
        let everybodys = Whose::Everybodys;
        let q = || queues.clone();
        let mut tasks = Vec::new();
        let (told, known) = (q(), Arc::clone(caches));
        tasks.extend(self.typed(&caches.gateways, everybodys, move |c| {
            told.gateway(&known, c);
        }));
        let told = q();
        tasks.extend(self.typed(&caches.http_routes, everybodys, move |c| told.route(c)));
        let told = q();
        tasks.extend(self.typed(
            &caches.backend_tls_policies,
            Whose::EverybodysIfServed,
            move |c| told.policy(c),
        ));
        let told = q();
        tasks.extend(self.typed(&caches.jwt_policies, everybodys, move |c| told.policy(c)));
        let told = q();
        tasks.extend(
            self.typed(&caches.rate_limit_policies, everybodys, move |c| {
                told.policy(c);
            }),
        );
        let told = q();
        tasks.extend(self.typed(&caches.services, everybodys, move |c| told.backend(c)));
        if self.context.sees_classes {
            // Classes have no namespace, so they are watched once.
            let (told, known) = (q(), Arc::clone(caches));
            let on_change = Arc::new(move |change: &_| told.class(&known, change));
            caches.gateway_classes.on_change(on_change.clone());
            let api = Api::all_with(
                self.context.client.clone(),
                &caches.gateway_classes.resource,
            );
            tasks.push(self.task(
                &caches.gateway_classes,
                (api, &Scope::All),
                Whose::Everybodys,
                on_change,
            ));
        }
        tasks
    }

    fn of_children(&self, queues: &Queues) -> Vec<Task> {
        let caches = &self.context.caches;
        let mut tasks = Vec::new();
        let told = queues.clone();
        tasks.extend(self.typed(&caches.deployments, Whose::Ours, move |c| told.owner(c)));
        let (told, known) = (queues.clone(), Arc::clone(caches));
        tasks.extend(self.typed(&caches.stateful_sets, Whose::Ours, move |c| {
            told.stateful_set(&known, c);
        }));
        let told = queues.clone();
        tasks.extend(self.typed(&caches.jobs, Whose::Ours, move |c| told.owner(c)));
        let (told, known) = (queues.clone(), Arc::clone(caches));
        tasks.extend(
            self.typed(&caches.autoscalers, Whose::Everybodys, move |c| {
                told.autoscaler(&known, c);
            }),
        );
        let (told, known) = (queues.clone(), Arc::clone(caches));
        tasks.extend(self.typed(&caches.pods, Whose::OursIfPermitted, move |c| {
            told.pod(&known, c);
        }));
        let (told, known) = (queues.clone(), Arc::clone(caches));
        let warnings = Whose::ProbeWarnings;
        tasks.extend(self.typed(&caches.probe_warnings, warnings, move |c| {
            told.warned(&known, c);
        }));
        let told = queues.clone();
        let on_change: OnChange<_> = Arc::new(move |change| told.volume_claim(change));
        tasks.extend(self.each_scope(&caches.volume_claims, Whose::Volumes, &on_change));
        let (told, secrets) = (queues.clone(), Arc::clone(&self.context.secrets));
        let on_change: OnChange<_> = Arc::new(move |change| told.secret(&secrets, change));
        self.context.secrets.on_change(Arc::clone(&on_change));
        tasks.extend(self.metadata(&caches.secrets, &on_change));
        for cache in &caches.metadata {
            let told = queues.clone();
            let on_change: OnChange<_> = Arc::new(move |change| told.owner(change));
            tasks.extend(self.metadata(cache, &on_change));
        }
        tasks
    }

    /// Watches objects of a type. One that cannot be decoded does not end the watch.
    fn typed<V: Cached>(
        &self,
        cache: &Arc<Cache<Sent, V>>,
        whose: Whose,
        on_change: impl Fn(&Change<V>) + Send + Sync + 'static,
    ) -> Vec<Task> {
        self.each_scope(cache, whose, &(Arc::new(on_change) as OnChange<V>))
    }

    /// Watches the metadata of what carries our label.
    fn metadata<V: Cached>(
        &self,
        cache: &Arc<Cache<PartialObjectMeta<DynamicObject>, V>>,
        on_change: &OnChange<V>,
    ) -> Vec<Task> {
        self.each_scope(cache, Whose::Ours, on_change)
    }

    fn each_scope<W, V>(
        &self,
        cache: &Arc<Cache<W, V>>,
        whose: Whose,
        on_change: &OnChange<V>,
    ) -> Vec<Task>
    where
        W: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
        V: Cached,
    {
        cache.on_change(Arc::clone(on_change));
        let client = &self.context.client;
        let task = |scope: &Scope| {
            let api = match scope {
                Scope::Namespace(namespace) => {
                    Api::namespaced_with(client.clone(), namespace, &cache.resource)
                }
                Scope::All | Scope::Object(_) => Api::all_with(client.clone(), &cache.resource),
            };
            self.task(cache, (api, scope), whose, Arc::clone(on_change))
        };
        self.scopes.iter().map(task).collect()
    }

    fn task<W, V>(
        &self,
        cache: &Cache<W, V>,
        (api, scope): (Api<W>, &Scope),
        whose: Whose,
        on_change: OnChange<V>,
    ) -> Task
    where
        W: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
        V: Cached,
    {
        let labels = match whose {
            Whose::Ours | Whose::OursIfPermitted => {
                Some(format!("app.kubernetes.io/managed-by={MANAGER}"))
            }
            Whose::Volumes => Some(volumes::selector()),
            Whose::Everybodys | Whose::EverybodysIfServed | Whose::ProbeWarnings => None,
        };
        let is_warning = whose == Whose::ProbeWarnings;
        let watch = Watch {
            api,
            scope: scope.clone(),
            labels,
            fields: is_warning.then(|| format!("reason={}", warned::REASON)),
            store: Arc::clone(&cache.store),
            decode: cache.decode,
            callbacks: Callbacks::on_change(move |change| on_change(change)),
            activity: Some(self.activity.clone()),
        };
        let optional = !matches!(whose, Whose::Ours | Whose::Everybodys);
        let status = watch.status(&cache.resource.kind, optional);
        let future = watch.run(Arc::clone(&status), self.stop.clone());
        Task {
            status,
            future: Box::pin(future),
        }
    }
}
