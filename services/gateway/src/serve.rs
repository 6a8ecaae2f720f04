//! Wires the process: workers, watches, the admin socket, and an orderly end.

use std::time::Duration;

use anyhow::Context as _;
use chassis::{ServeLimits, Spans, serve as serve_admin};
use gateway::config::Config;
use gateway::{Gateway, LogSink, control};
use gateway_routes::ObjectName;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Serves until told to stop.
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
    let filter = EnvFilter::try_new(log).context("reading the log filter")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
    // The one provider of this process; an error says that it is set already.
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
        .context("reaching the API server")?;
    let publisher = gateway
        .take_publisher()
        .context("the publisher is taken once")?;
    let watching = control::watch(client, publisher, shared.metrics.clone());

    let socket = TcpListener::bind(admin_listen)
        .await
        .context("listening for health checks")?;
    let stop_admin = CancellationToken::new();
    let limits = ServeLimits {
        drain: Duration::from_secs(1),
        ..ServeLimits::default()
    };
    let admin = serve_admin(
        socket,
        control::admin_router(shared),
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
    // Watches go on until the end: endpoints change while requests are still being finished.
    tokio::select! {
        (drained, ()) = async { tokio::join!(draining, admin) } => drained,
        () = watching => anyhow::bail!("the watches ended"),
    }
}
