//! Assembles a serving process from the parts of a service.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use bus::Bus;
use chassis::{Binding, BindingError, InternalToken, Process, Registry, Tasks, binding};
use futures::future::BoxFuture;
use outbox::{Consumer, Relay};
use tokio_util::sync::CancellationToken;
use vocabulary::{SystemClock, SystemEntropy};

use crate::bus_check::{connected, takes};
use crate::core::Core;
use crate::periodic::{self, PeriodicTask};
use crate::spec::Spec;
use crate::subscriptions::Subscriptions;

/// A process in the making, with its database and bus.
pub struct Builder {
    spec: Spec,
    process: Process,
    binding_root: PathBuf,
    core: Core,
    bus: Bus,
    outbox_metrics: outbox::Metrics,
    task_metrics: periodic::Metrics,
}

impl Builder {
    /// Connects the database and the bus.
    ///
    /// The future is boxed, as that of [`Self::run`]: an async function is compiled where it is awaited, and
    /// that is the program of each service.
    pub(crate) fn new(
        spec: Spec,
        process: Process,
        binding_root: PathBuf,
    ) -> BoxFuture<'static, anyhow::Result<Self>> {
        Box::pin(Self::connect(spec, process, binding_root))
    }

    async fn connect(spec: Spec, process: Process, binding_root: PathBuf) -> anyhow::Result<Self> {
        let database = binding(&binding_root, "database")?;
        let pool = outbox::pool::connect(database.require("uri")?, spec.connections, spec.name())
            .context("invalid uri in binding database")?;
        let core = Core {
            pool: pool.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let queue = binding(&binding_root, "bus")?;
        let bus = bus::connect(&queue, spec.name()).await?;
        let process = process
            .host("database", database.get("host"))
            .host("bus", queue.get("host"));
        let outbox_metrics = outbox::Metrics::new(process.registry())?;
        let task_metrics = periodic::Metrics::new(process.registry())?;
        let process = process.readiness("database", move || {
            let pool = pool.clone();
            async move {
                let ready = outbox::migrate::ready(&pool, spec.migrator, spec.schema()).await;
                ready.map_err(|error| error.to_string())
            }
        });
        let (known, asked, name) = (bus.clone(), bus.clone(), spec.name());
        let process = process.asked_dependency(
            "bus",
            move || connected(&*known),
            move || {
                let bus = asked.clone();
                async move { takes(&*bus, name).await }
            },
        );
        Ok(Self {
            spec,
            process,
            binding_root,
            core,
            bus,
            outbox_metrics,
            task_metrics,
        })
    }

    /// Database, clock and random source, for the state of the service.
    pub fn core(&self) -> Core {
        self.core.clone()
    }

    /// The registry, for the service's own metrics.
    pub fn registry(&self) -> &Registry {
        self.process.registry()
    }

    /// The tracked spawner, for work that outlives its request.
    pub fn tasks(&self) -> Tasks {
        self.process.tasks()
    }

    /// Reads a binding.
    pub fn binding(&self, name: &str) -> Result<Binding, BindingError> {
        binding(&self.binding_root, name)
    }

    /// The token with which the shop's services authenticate to each other.
    pub fn internal_token(&self) -> Result<InternalToken, BindingError> {
        Ok(InternalToken::new(
            self.binding("internal")?.require("token")?,
        ))
    }

    /// Serves the routes.
    #[must_use]
    pub fn api(self, router: Router) -> Self {
        Self {
            process: self.process.route(router),
            ..self
        }
    }

    /// Publishes what the service appends to its outbox.
    #[must_use]
    pub fn relay(self) -> Self {
        let (schema, name) = (self.spec.schema(), self.spec.name());
        let metrics = self.outbox_metrics.clone();
        let relay = Relay::new(
            self.core.pool.clone(),
            self.bus.clone(),
            schema,
            name,
            metrics,
        );
        self.task("relay", |stop| relay.run(stop))
    }

    /// Consumes events.
    #[must_use]
    pub fn consume<S: Send + Sync + 'static>(self, subscriptions: Subscriptions<S>) -> Self {
        let metrics = self.outbox_metrics.clone();
        let (pool, bus) = (self.core.pool.clone(), self.bus.clone());
        let consumer = Consumer::new(pool, bus, self.spec.schema(), subscriptions, metrics);
        self.task("consumer", |stop| consumer.run(stop))
    }

    /// Runs a task at its interval, from start to shutdown.
    #[must_use]
    pub fn periodic<T: PeriodicTask>(self, task: T) -> Self {
        let metrics = self.task_metrics.clone();
        self.task(T::NAME, |stop| periodic::run(task, metrics, stop))
    }

    /// Runs a task that ends at shutdown only. If it ends earlier, the process exits with a failure.
    #[must_use]
    pub fn task<F, Fut>(self, name: &'static str, task: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            process: self.process.spawn(name, task),
            ..self
        }
    }

    /// Adds a condition of readiness. Check only what this process owns, never another service: its
    /// outage would spread.
    #[must_use]
    pub fn readiness<F, Fut>(self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            process: self.process.readiness(name, check),
            ..self
        }
    }

    /// Adds a server that the service does without for a while: reported, without a change of readiness. `known`
    /// asks nobody.
    #[must_use]
    pub fn dependency<K>(self, name: &'static str, known: K) -> Self
    where
        K: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        Self {
            process: self.process.dependency(name, known),
            ..self
        }
    }

    /// As [`Self::dependency`]; the server itself is asked with `ask` while `known` finds nothing wrong.
    #[must_use]
    pub fn asked_dependency<K, A, Fut>(self, name: &'static str, known: K, ask: A) -> Self
    where
        K: Fn() -> Result<(), String> + Send + Sync + 'static,
        A: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            process: self.process.asked_dependency(name, known, ask),
            ..self
        }
    }

    /// The host of the server behind a check or dependency: where that fails, it is told whether the name is resolved.
    #[must_use]
    pub fn host(self, check: &'static str, host: Option<&str>) -> Self {
        Self {
            process: self.process.host(check, host),
            ..self
        }
    }

    pub(crate) fn run(self) -> BoxFuture<'static, anyhow::Result<()>> {
        self.process.run()
    }
}
