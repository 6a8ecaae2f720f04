//! Wires the process: workers, watches, the admin socket, and graceful shutdown.

use std::time::Duration;

use anyhow::Context as _;
use chassis::listen::listen;
use chassis::{ServeLimits, Spans, serve as serve_admin};
use gateway::config::Config;
use gateway::{Gateway, LogSink, control};
use gateway_routes::ObjectName;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Serves until shutdown is requested.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let Config {
        gateway_namespace,
        gateway_name,
        admin_listen,
        log,
        drain_secs,
        tracing,
        limits,
    } = config;
    let filter = EnvFilter::try_new(log).context("invalid log filter")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
    // The only provider of this process; an error means that it is already installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let wants_lines = limits.access_log;
    let name = ObjectName::new(gateway_namespace, gateway_name);
    let drain = Duration::from_secs(drain_secs);
    let mut gateway = Gateway::start(name, limits, drain, |metrics| {
        if wants_lines {
            LogSink::start(std::io::stdout(), metrics)
        } else {
            Ok(LogSink::none(metrics))
        }
    })?;
    let shared = gateway.shared();
    let spans = Spans::start("gateway", &tracing, shared.metrics.registry())?;
    let client = kube::Client::try_default()
        .await
        .context("failed to configure the API client")?;
    let publisher = gateway
        .take_publisher()
        .context("the publisher was already taken")?;
    let watching = control::watch(client, publisher, shared.metrics.clone());

    let socket = listen(admin_listen).context("failed to listen on ADMIN_LISTEN")?;
    let stop_admin = CancellationToken::new();
    let limits = ServeLimits {
        drain: Duration::from_secs(1),
        ..ServeLimits::default()
    };
    let admin = serve_admin(
        socket,
        control::admin_router(shared, std::time::Instant::now()),
        limits,
        stop_admin.clone(),
    );
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let draining = async {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        let deadline = Instant::now() + drain;
        let drained = gateway.drain().await;
        spans.finish(deadline).await;
        stop_admin.cancel();
        drained
    };
    // Watches run until the end: endpoints change while requests are still in progress.
    tokio::select! {
        (drained, ()) = async { tokio::join!(draining, admin) } => drained,
        () = watching => anyhow::bail!("the watches exited unexpectedly"),
    }
}
