//! Puts watches, queues and workers together and keeps them running.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube_cache::{Activity, Scope, State, WatchStatus};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::context::Context;
use crate::controller::{Controller, Reconciler};
use crate::dispatch::Queues;
use crate::guarded::Guarded;
use crate::health::Health;
use crate::kind_loop::{KindLoop, Managed};
use crate::kinds::database_binding::{DatabaseBindings, Servers};
use crate::kinds::gateway::{GatewayClasses, Gateways, Routes};
use crate::kinds::service_deployment::ServiceDeployments;
use crate::kinds::storefront::Storefronts;
use crate::queue::Queue;
use crate::secrets::KEPT;
use crate::watches::{Task, Watches};

/// How often a start checks whether the watches have listed.
const POLL: Duration = Duration::from_millis(50);
/// Kinds without which nothing of a shop can be reconciled.
const SHOP_NEEDS: &[&str] = &["Storefront", "ServiceDeployment", "DatabaseBinding"];
/// Kinds without which no Gateway can be reconciled.
const GATEWAY_NEEDS: &[&str] = &[
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "JwtPolicy",
    "RateLimitPolicy",
    "Service",
];

/// A group of controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControllerKind {
    /// Storefronts.
    Storefront,
    /// ServiceDeployments.
    ServiceDeployment,
    /// DatabaseBindings.
    DatabaseBinding,
    /// GatewayClasses, Gateways, routes and policies.
    Gateway,
}

impl ControllerKind {
    /// All of them, as the process runs them.
    pub const ALL: [Self; 4] = [
        Self::Storefront,
        Self::ServiceDeployment,
        Self::DatabaseBinding,
        Self::Gateway,
    ];
}

/// Everything that runs while this process is the leader.
pub struct Engine {
    /// What reconciliations get.
    pub context: Arc<Context>,
    /// Opens sessions on database servers.
    pub servers: Arc<dyn Servers>,
    /// Liveness and readiness.
    pub health: Arc<Health>,
    /// When the watches last received anything.
    pub activity: Activity,
    /// What to watch: every namespace, or some.
    pub scopes: Vec<Scope>,
    /// Workers of each controller.
    pub workers: usize,
}

impl Engine {
    /// Runs these controllers until the token is cancelled, or a part exits unexpectedly.
    pub async fn work(&self, kinds: &[ControllerKind], queues: Queues, stop: CancellationToken) {
        let tasks = self.watches(&queues, &stop);
        let watches: Vec<Arc<WatchStatus>> =
            tasks.iter().map(|task| Arc::clone(&task.status)).collect();
        self.health.lead(watches.clone(), queues.all());
        let mut running = JoinSet::new();
        for task in tasks {
            running.spawn(task.future);
        }
        running.spawn(drop_secrets(Arc::clone(&self.context), stop.clone()));
        for kind in kinds {
            let (needs, controllers) = self.controllers(*kind, &queues, &stop);
            for work in controllers {
                running.spawn(after_sync(watches.clone(), needs, work, stop.clone()));
            }
        }
        let ended = running.join_next().await;
        if !stop.is_cancelled() {
            let panicked = ended.is_some_and(|ended| ended.is_err());
            tracing::error!(panicked, "watch or controller exited unexpectedly");
        }
        running.shutdown().await;
    }

    fn watches(&self, queues: &Queues, stop: &CancellationToken) -> Vec<Task> {
        let watches = Watches {
            context: &self.context,
            scopes: &self.scopes,
            activity: &self.activity,
            stop,
        };
        watches.all(queues)
    }

    /// The controllers of a group, and the kinds that they cannot start without.
    fn controllers(
        &self,
        kind: ControllerKind,
        queues: &Queues,
        stop: &CancellationToken,
    ) -> (&'static [&'static str], Vec<BoxFuture<'static, ()>>) {
        let context = || Arc::clone(&self.context);
        match kind {
            ControllerKind::Storefront => {
                let controller = self.kind_loop(Storefronts);
                (
                    SHOP_NEEDS,
                    vec![self.controller(controller, &queues.storefronts, stop)],
                )
            }
            ControllerKind::ServiceDeployment => {
                let controller = self.kind_loop(ServiceDeployments);
                (
                    SHOP_NEEDS,
                    vec![self.controller(controller, &queues.services, stop)],
                )
            }
            ControllerKind::DatabaseBinding => {
                let servers = Arc::clone(&self.servers);
                let controller = self.kind_loop(DatabaseBindings { servers });
                (
                    SHOP_NEEDS,
                    vec![self.controller(controller, &queues.bindings, stop)],
                )
            }
            ControllerKind::Gateway => {
                let classes = self.controller(GatewayClasses(context()), &queues.classes, stop);
                let gateways = self.controller(Gateways(context()), &queues.gateways, stop);
                let routes = self.controller(Routes::new(context()), &queues.routes, stop);
                (GATEWAY_NEEDS, vec![classes, gateways, routes])
            }
        }
    }

    fn kind_loop<M: Managed>(&self, kind: M) -> KindLoop<M> {
        KindLoop {
            context: Arc::clone(&self.context),
            kind,
        }
    }

    fn controller<R: Reconciler>(
        &self,
        reconciler: R,
        queue: &Arc<Queue>,
        stop: &CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let controller = Arc::new(Controller {
            reconciler: Guarded {
                context: Arc::clone(&self.context),
                inner: reconciler,
            },
            queue: Arc::clone(queue),
            workers: self.workers,
            backoff: Backoff::default(),
            metrics: self.context.metrics.clone(),
        });
        Box::pin(controller.run(stop.clone()))
    }
}

/// Drops the content of Secrets that is no longer used, now and then.
async fn drop_secrets(context: Arc<Context>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(KEPT) => context.secrets.drop_unused(),
        }
    }
}

/// Starts a controller when the kinds that it needs are listed, and every other watch has had its first
/// answer: one that is refused must not hold up the rest.
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
