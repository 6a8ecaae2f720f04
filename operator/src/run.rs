//! Puts watches, queues and workers together and keeps them running.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use gateway_routes::api::GatewayClass;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DynamicObject};
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::{Client, Resource};
use operator_plan::objects::MANAGER;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::bindings::DatabaseBindings;
use crate::context::Context;
use crate::controller::{Controller, Reconciler};
use crate::dispatch::Queues;
use crate::gateway_class::{GatewayClasses, Gateways, Routes};
use crate::health::Health;
use crate::queue::Queue;
use crate::service_deployment::ServiceDeployments;
use crate::slim::Slim;
use crate::storefront::Storefronts;
use kube_cache::{
    Activity, Cached, Callbacks, Change, Full, Scope, State, Store, Watch, WatchStatus,
    decode_whole,
};

/// How often a start looks whether the watches have listed.
const POLL: Duration = Duration::from_millis(50);

/// A controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Shops.
    Storefront,
    /// Workloads.
    ServiceDeployment,
    /// Databases.
    DatabaseBinding,
    /// Classes, Gateways, routes and policies.
    Edge,
}

impl Room {
    /// All of them, as the process runs them.
    pub const ALL: [Self; 4] = [
        Self::Storefront,
        Self::ServiceDeployment,
        Self::DatabaseBinding,
        Self::Edge,
    ];
}

/// Everything that runs while this process leads.
pub struct Engine {
    /// What reconciliations get.
    pub context: Arc<Context>,
    /// What health is judged by.
    pub health: Arc<Health>,
    /// Signs of life.
    pub activity: Activity,
    /// What to watch: every namespace, or some.
    pub scopes: Vec<Scope>,
    /// Workers of each kind.
    pub workers: usize,
}

/// One watch, ready to run.
struct Task {
    status: Arc<WatchStatus>,
    future: BoxFuture<'static, ()>,
}

impl Engine {
    /// Works in these rooms until the token is cancelled, or a part ends that must not.
    pub async fn work(&self, rooms: &[Room], queues: Queues, stop: CancellationToken) {
        let tasks = self.watches(&queues, &stop);
        let watches: Vec<Arc<WatchStatus>> =
            tasks.iter().map(|task| Arc::clone(&task.status)).collect();
        self.health.lead(watches.clone(), queues.all());
        let mut running = JoinSet::new();
        for task in tasks {
            running.spawn(task.future);
        }
        for room in rooms {
            let (needs, controllers) = self.controllers(*room, &queues, &stop);
            for work in controllers {
                running.spawn(after_sync(watches.clone(), needs, work, stop.clone()));
            }
        }
        let ended = running.join_next().await;
        if !stop.is_cancelled() {
            let panicked = ended.is_some_and(|ended| ended.is_err());
            tracing::error!(panicked, "a watch or a controller ended that must not");
        }
        running.shutdown().await;
    }

    /// The controllers of a room, and the kinds that they cannot begin without.
    fn controllers(
        &self,
        room: Room,
        queues: &Queues,
        stop: &CancellationToken,
    ) -> (&'static [&'static str], Vec<BoxFuture<'static, ()>>) {
        let shops: &[_] = &["Storefront", "ServiceDeployment", "DatabaseBinding"];
        let edge: &[_] = &[
            "Gateway",
            "GatewayClass",
            "HTTPRoute",
            "JwtPolicy",
            "RateLimitPolicy",
            "Service",
        ];
        let context = || Arc::clone(&self.context);
        match room {
            Room::Storefront => (
                shops,
                vec![self.controller(Storefronts(context()), &queues.storefronts, stop)],
            ),
            Room::ServiceDeployment => {
                let controller = ServiceDeployments(context());
                (
                    shops,
                    vec![self.controller(controller, &queues.services, stop)],
                )
            }
            Room::DatabaseBinding => (
                shops,
                vec![self.controller(DatabaseBindings(context()), &queues.bindings, stop)],
            ),
            Room::Edge => {
                let classes = self.controller(GatewayClasses(context()), &queues.classes, stop);
                let gateways = self.controller(Gateways(context()), &queues.gateways, stop);
                let routes = self.controller(Routes(context()), &queues.routes, stop);
                (edge, vec![classes, gateways, routes])
            }
        }
    }

    fn controller<R: Reconciler>(
        &self,
        reconciler: R,
        queue: &Arc<Queue>,
        stop: &CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let controller = Arc::new(Controller {
            reconciler,
            queue: Arc::clone(queue),
            workers: self.workers,
            backoff: Backoff::default(),
            context: Arc::clone(&self.context),
        });
        Box::pin(controller.run(stop.clone()))
    }

    fn watches(&self, queues: &Queues, stop: &CancellationToken) -> Vec<Task> {
        let stores = &self.context.stores;
        let mut tasks = Vec::new();
        for scope in &self.scopes {
            let watcher = Watcher {
                engine: self,
                scope,
                stop,
            };
            let (q, ctx) = (queues.clone(), Arc::clone(&self.context));
            let tell = move |change: &_| q.storefront(&ctx.stores, change);
            tasks.push(watcher.whole(&stores.storefronts, tell));
            let (q, ctx) = (queues.clone(), Arc::clone(&self.context));
            let tell = move |change: &_| q.service(&ctx.stores, change);
            tasks.push(watcher.whole(&stores.service_deployments, tell));
            let (q, ctx) = (queues.clone(), Arc::clone(&self.context));
            let tell = move |change: &_| q.binding(&ctx.stores, change);
            tasks.push(watcher.whole(&stores.database_bindings, tell));
            let q = queues.clone();
            tasks.push(watcher.whole(&stores.gateways, move |change| q.gateway(change)));
            let q = queues.clone();
            tasks.push(watcher.whole(&stores.http_routes, move |change| q.route(change)));
            let q = queues.clone();
            tasks.push(watcher.whole(&stores.jwt_policies, move |change| q.policy(change)));
            let q = queues.clone();
            tasks.push(watcher.whole(&stores.rate_limit_policies, move |change| q.policy(change)));
            tasks.push(watcher.services(queues.clone()));
            tasks.extend(watcher.slim(queues));
        }
        if self.context.sees_classes {
            tasks.push(self.classes(queues, stop));
        }
        tasks
    }

    /// Classes live in no namespace, so they are watched once.
    fn classes(&self, queues: &Queues, stop: &CancellationToken) -> Task {
        let (queues, context) = (queues.clone(), Arc::clone(&self.context));
        let watch = Watch {
            api: Api::<DeserializeGuard<GatewayClass>>::all(self.context.client.clone()),
            scope: Scope::All,
            labels: None,
            fields: None,
            store: Arc::clone(&self.context.stores.gateway_classes),
            decode: decode_whole,
            callbacks: Callbacks::on_change(move |change: &_| {
                queues.class(&context.stores, change)
            }),
            activity: Some(self.activity.clone()),
        };
        start(watch, "GatewayClass", stop)
    }
}

/// Makes the watches of one scope.
struct Watcher<'a> {
    engine: &'a Engine,
    scope: &'a Scope,
    stop: &'a CancellationToken,
}

impl Watcher<'_> {
    fn client(&self) -> &Client {
        &self.engine.context.client
    }

    /// Watches whole objects. One that cannot be decoded does not end the watch.
    fn whole<K>(
        &self,
        store: &Arc<Store<Full<K>>>,
        on_change: impl Fn(&Change<Full<K>>) + Send + Sync + 'static,
    ) -> Task
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let watch = Watch {
            api: api_in::<DeserializeGuard<K>>(self.client(), self.scope),
            scope: self.scope.clone(),
            labels: None,
            fields: None,
            store: Arc::clone(store),
            decode: decode_whole,
            callbacks: Callbacks::on_change(on_change),
            activity: Some(self.engine.activity.clone()),
        };
        start(watch, &K::kind(&()), self.stop)
    }

    /// Services are cut down to what routing needs: there are many, and most are not ours.
    fn services(&self, queues: Queues) -> Task {
        let watch = Watch {
            api: api_in::<DeserializeGuard<Service>>(self.client(), self.scope),
            scope: self.scope.clone(),
            labels: None,
            fields: None,
            store: Arc::clone(&self.engine.context.stores.services),
            decode: |guard: DeserializeGuard<Service>| {
                let mut service = guard.0.map_err(Arc::new)?;
                service.metadata.managed_fields = None;
                service.metadata.annotations = None;
                service.metadata.labels = None;
                service.status = None;
                if let Some(spec) = service.spec.as_mut() {
                    spec.selector = None;
                }
                Ok(Full(Arc::new(service)))
            },
            callbacks: Callbacks::on_change(move |change: &_| queues.backend(change)),
            activity: Some(self.engine.activity.clone()),
        };
        start(watch, "Service", self.stop)
    }

    /// Watches the metadata of what carries our label, kind by kind.
    fn slim(&self, queues: &Queues) -> Vec<Task> {
        let kinds = self.engine.context.stores.slim.iter();
        let task = |kind: &crate::stores::SlimKind| {
            let client = self.client().clone();
            let api: Api<PartialObjectMeta<DynamicObject>> = match self.scope {
                Scope::Namespace(namespace) => {
                    Api::namespaced_with(client, namespace, &kind.resource)
                }
                Scope::All | Scope::Object(_) => Api::all_with(client, &kind.resource),
            };
            let queues = queues.clone();
            let watch = Watch {
                api,
                scope: self.scope.clone(),
                labels: Some(format!("app.kubernetes.io/managed-by={MANAGER}")),
                fields: None,
                store: Arc::clone(&kind.store),
                decode: Slim::decode,
                callbacks: Callbacks::on_change(move |change: &_| queues.owner(change)),
                activity: Some(self.engine.activity.clone()),
            };
            start(watch, &kind.resource.kind, self.stop)
        };
        kinds.map(task).collect()
    }
}

/// A watch as a task, not running yet.
fn start<W, V>(watch: Watch<W, V>, kind: &str, stop: &CancellationToken) -> Task
where
    W: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    V: Cached,
{
    let status = watch.status(kind, false);
    let future = watch.run(Arc::clone(&status), stop.clone());
    Task {
        status,
        future: Box::pin(future),
    }
}

/// The API of a kind in a scope.
fn api_in<K>(client: &Client, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match scope {
        Scope::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        Scope::All | Scope::Object(_) => Api::all(client.clone()),
    }
}

/// Starts the work when the kinds it needs are known, and every other watch has had its first say:
/// one that is refused must not hold up the rest.
async fn after_sync(
    watches: Vec<Arc<WatchStatus>>,
    needs: &'static [&'static str],
    work: BoxFuture<'static, ()>,
    stop: CancellationToken,
) {
    let is_ready = || {
        watches.iter().all(|watch| match watch.state() {
            State::Live => true,
            State::Starting => false,
            State::Missing | State::Forbidden | State::Failing => {
                !needs.contains(&watch.kind.as_str())
            }
        })
    };
    while !is_ready() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
    }
    work.await;
}
