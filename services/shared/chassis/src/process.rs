//! The lifecycle of a process: startup, serving, drain, exit.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::ProcessConfig;
use crate::dependency::{Check, Dependency, in_time_of};
use crate::http::{HttpLimits, layers};
use crate::listen::listen;
use crate::registry::{HttpMetrics, Registry};
use crate::serve::{ServeLimits, serve};
use crate::spans::Spans;
use crate::tasks::Tasks;
use crate::telemetry;

/// Serving goes on for this long after SIGTERM, because endpoints are removed at the same time, not before.
const LAME_DUCK: Duration = Duration::from_secs(5);

/// For how long a process may lack its servers without a warning: until then it is connecting.
const STARTING: Duration = Duration::from_secs(10);

/// One process: API, admin socket, tasks, and graceful shutdown.
pub struct Process {
    name: &'static str,
    config: ProcessConfig,
    limits: HttpLimits,
    registry: Registry,
    metrics: HttpMetrics,
    api: Router,
    checks: Vec<(&'static str, Check)>,
    dependencies: Vec<(&'static str, Check)>,
    hosts: BTreeMap<&'static str, String>,
    tasks: Tasks,
    failed: CancellationToken,
    spans: Spans,
}

impl Process {
    /// Starts logging, metrics, and tracing where a collector is configured.
    pub fn new(name: &'static str, config: &ProcessConfig) -> anyhow::Result<Self> {
        telemetry::init(&config.log).context("invalid log filter")?;
        let registry = Registry::new()?;
        let metrics = HttpMetrics::new(&registry)?;
        let spans = Spans::start(name, &config.tracing, &registry)?;
        Ok(Self {
            name,
            config: config.clone(),
            limits: HttpLimits::default(),
            registry,
            metrics,
            api: Router::new(),
            checks: Vec::new(),
            dependencies: Vec::new(),
            hosts: BTreeMap::new(),
            tasks: Tasks::new(),
            failed: CancellationToken::new(),
            spans,
        })
    }

    /// The registry, for the series of the service.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The tracked spawner, for handlers.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Cancelled when the process stops.
    pub fn shutdown(&self) -> CancellationToken {
        self.tasks.shutdown()
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds routes to the API.
    #[must_use]
    pub fn route(mut self, api: Router) -> Self {
        self.api = self.api.merge(api);
        self
    }

    /// Adds a condition of readiness. Check only what this process owns (its pool, its schema), never a peer:
    /// the outage of a peer would spread.
    #[must_use]
    pub fn readiness<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || check().boxed())));
        self
    }

    /// Adds a server that this process does without for a while. `/readyz` reports it as degraded and stays ready, with
    /// a status that the kubelet records as a warning.
    /// `known` is called at each probe, so it tells what is known and asks nobody.
    #[must_use]
    pub fn dependency<K>(mut self, name: &'static str, known: K) -> Self
    where
        K: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        let check = move || std::future::ready(known()).boxed();
        self.dependencies.push((name, Arc::new(check)));
        self
    }

    /// As [`Self::dependency`]; while `known` finds nothing wrong, the server itself is asked with `ask`, so that one
    /// that fails is known also while nothing else is asked of it. See `Dependency` for how often.
    #[must_use]
    pub fn asked_dependency<K, A, Fut>(mut self, name: &'static str, known: K, ask: A) -> Self
    where
        K: Fn() -> Result<(), String> + Send + Sync + 'static,
        A: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (known, check) = (Box::new(known), Arc::new(move || ask().boxed()));
        let dependency = Arc::new(Dependency::new(name, known, check, self.tasks.clone()));
        let ask = move || Arc::clone(&dependency).ask().boxed();
        self.dependencies.push((name, Arc::new(ask)));
        self
    }

    /// The host of the server behind a check or dependency: where that fails, it is told whether the name is resolved.
    #[must_use]
    pub fn host(mut self, check: &'static str, host: Option<&str>) -> Self {
        self.hosts.extend(host.map(|host| (check, host.to_owned())));
        self
    }

    /// Spawns a task that runs until the token is cancelled. If it ends or panics before, the process exits with
    /// a failure, to be restarted from outside.
    #[must_use]
    pub fn spawn<F, Fut>(self, name: &'static str, task: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let shutdown = self.tasks.shutdown();
        let work = std::panic::AssertUnwindSafe(task(shutdown.clone())).catch_unwind();
        let failed = self.failed.clone();
        self.tasks.spawn(name, async move {
            let ended = work.await;
            if ended.is_err() || !shutdown.is_cancelled() {
                tracing::error!(task = name, "task exited unexpectedly");
                failed.cancel();
            }
        });
        self
    }

    /// Serves until SIGTERM or SIGINT, drains, and returns.
    ///
    /// The future is boxed: an async function is compiled where it is awaited, which would be the program of
    /// each service, and the HTTP server is most of what such a program has to compile.
    pub fn run(self) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self.serve_until_stopped())
    }

    async fn serve_until_stopped(self) -> anyhow::Result<()> {
        let api_socket = bind(self.config.listen)?;
        let admin_socket = bind(self.config.admin_listen)?;
        let draining = Arc::new(AtomicBool::new(false));
        let drain = Duration::from_secs(self.config.drain_secs);
        let lame_duck = LAME_DUCK.min(drain / 4);

        let admin = Admin {
            registry: self.registry.clone(),
            checks: self.checks.into(),
            dependencies: self.dependencies.into(),
            hosts: Arc::new(self.hosts),
            draining: Arc::clone(&draining),
            started: Instant::now(),
        };
        let stop_admin = CancellationToken::new();
        let limits = ServeLimits {
            drain: Duration::from_secs(1),
            ..ServeLimits::default()
        };
        let admin = serve(admin_socket, admin.router(), limits, stop_admin.clone());
        let servers = Tasks::new();
        servers.spawn("admin", admin);

        let stop_api = CancellationToken::new();
        let limits = ServeLimits {
            drain: drain.saturating_sub(lame_duck),
            ..ServeLimits::default()
        };
        let api = layers(self.api, self.limits, self.metrics, Arc::clone(&draining));
        let api = servers.spawn("api", serve(api_socket, api, limits, stop_api.clone()));

        tracing::info!(process = self.name, listen = %self.config.listen, "serving");
        let failed = tokio::select! {
            () = terminated() => false,
            () = self.failed.cancelled() => true,
        };
        tracing::info!(process = self.name, "draining");
        let deadline = Instant::now() + drain;
        draining.store(true, Ordering::Relaxed);
        tokio::time::sleep(lame_duck).await;
        stop_api.cancel();
        api.await.context("the API server panicked")?;
        // Handlers are done: what they appended can still be relayed while tasks stop.
        if tokio::time::timeout(Duration::from_secs(5), self.tasks.stop())
            .await
            .is_err()
        {
            tracing::warn!("some tasks did not stop in time");
        }
        self.spans.finish(deadline).await;
        stop_admin.cancel();
        servers.stop().await;
        anyhow::ensure!(!failed, "a task of {} exited unexpectedly", self.name);
        tracing::info!(process = self.name, "stopped");
        Ok(())
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("failed to listen on {address}"))
}

async fn terminated() {
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut term), Ok(mut int)) => {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        }
        // Without handlers the default action of the signals applies, which ends the process.
        _ => std::future::pending().await,
    }
}

#[derive(Clone)]
struct Admin {
    registry: Registry,
    checks: Arc<[(&'static str, Check)]>,
    dependencies: Arc<[(&'static str, Check)]>,
    hosts: Arc<BTreeMap<&'static str, String>>,
    draining: Arc<AtomicBool>,
    started: Instant,
}

impl Admin {
    fn router(self) -> Router {
        Router::new()
            // A response shows that the runtime makes progress.
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

impl Admin {
    /// The checks that fail, each with its reason.
    async fn failures(&self, checks: &[(&'static str, Check)]) -> BTreeMap<&'static str, String> {
        let checks = checks.iter().map(|(name, check)| async {
            let host = self.hosts.get(name).map(String::as_str);
            Some((*name, in_time_of(check(), host).await.err()?))
        });
        let all = futures::future::join_all(checks).await;
        all.into_iter().flatten().collect()
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    // Side by side: who asks waits for little longer than one check takes.
    let (mut failing, degraded) = futures::join!(
        admin.failures(&admin.checks),
        admin.failures(&admin.dependencies)
    );
    if admin.draining.load(Ordering::Relaxed) {
        failing.insert("draining", "the process is shutting down".to_owned());
    }
    let lacks = !degraded.is_empty();
    let status = readiness(failing.is_empty(), lacks, admin.started.elapsed());
    (
        status,
        axum::Json(serde_json::json!({
            "ready": failing.is_empty(), "failing": failing, "degraded": degraded,
        })),
    )
}

/// The answer to a readiness probe of a process of this age. To the kubelet every status from 200 to 399 is a success,
/// and of one from 300 on it records an event with the answer (`ProbeWarning`). So a pod that lacks a server stays
/// ready, and whoever watches events learns of it.
pub fn readiness(is_ready: bool, lacks: bool, age: Duration) -> StatusCode {
    match (is_ready, lacks && age >= STARTING) {
        (false, _) => StatusCode::SERVICE_UNAVAILABLE,
        (true, false) => StatusCode::OK,
        (true, true) => StatusCode::MULTIPLE_CHOICES,
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.registry.render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => crate::Problem::internal(&error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_named_before_the_kubelet_gives_up() {
        let kubelets = Duration::from_secs(2);
        let check: Check = Arc::new(|| std::future::pending().boxed());
        let registry = Registry::new().expect("a registry");
        let admin = Admin {
            registry,
            checks: [("database", check)].into(),
            dependencies: Arc::default(),
            hosts: Arc::default(),
            draining: Arc::default(),
            started: Instant::now(),
        };
        let began = Instant::now();
        let answer = readyz(State(admin)).await.into_response();
        assert!(began.elapsed() <= kubelets * 3 / 4, "{:?}", began.elapsed());
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(answer.into_body(), 1_024).await;
        let body = String::from_utf8_lossy(&body.expect("a body")).into_owned();
        assert!(body.contains(r#""database":"timed out""#), "{body}");
    }

    #[test]
    fn a_process_that_lacks_a_server_is_ready_with_a_warning_once_it_has_had_time_to_connect() {
        let soon = STARTING.saturating_sub(Duration::from_millis(1));
        for (is_ready, lacks, age, status) in [
            (true, false, STARTING, 200),
            (true, true, soon, 200),
            (true, true, STARTING, 300),
            (false, true, STARTING, 503),
            (false, false, soon, 503),
        ] {
            assert_eq!(readiness(is_ready, lacks, age), status, "{age:?}");
        }
    }
}
