//! The process from its first log line to its exit.

use std::future::pending;
use std::sync::Arc;

use anyhow::Context as _;
use chassis::listen::listen;
use chassis::{ServeLimits, Tasks, serve};
use futures::FutureExt as _;
use kube::client::ClientBuilder;
use kube::{Client, Config as KubeConfig};
use kube_cache::{Activity, Scope};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::accounting::Accounting;
use crate::admin::{self, Admin};
use crate::config::Config;
use crate::context::{Context, Parts};
use crate::dispatch::Queues;
use crate::health::Health;
use crate::kinds::database_binding::PgServers;
use crate::leader::{Candidate, LEASE, Timing};
use crate::material;
use crate::metrics::Metrics;
use crate::prober::HttpProber;
use crate::run::{ControllerKind, Engine};

/// Runs until SIGTERM, or until the Lease is lost (which is an error, so that a fresh process starts).
pub async fn run(config: Config) -> anyhow::Result<()> {
    start_logging(&config.log)?;
    // More than one library brings rustls: the process has one provider.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let metrics = Metrics::new().context("registering the metrics")?;
    let activity = Activity::default();
    let client = connect(&metrics, &activity).await?;
    let scopes = config.scopes();
    let instance = match config.pod_name.clone() {
        Some(name) => name,
        None => format!("storefront-operator-{}", material::suffix()?),
    };
    let parts = Parts {
        platform: config.platform(),
        instance: instance.clone(),
        installation: config.lease_namespace().to_owned(),
        sees_classes: scopes == [Scope::All],
        prober: Arc::new(HttpProber::new().context("making the client of probes")?),
    };
    let context = Context::new(client.clone(), metrics.clone(), parts);
    let health = Arc::new(Health::new(Arc::clone(&context), activity.clone()));

    let socket = listen(config.admin_listen)
        .with_context(|| format!("listening on {}", config.admin_listen))?;
    let admin = admin::router(Admin {
        health: Arc::clone(&health),
        metrics: metrics.clone(),
    });
    let limits = ServeLimits {
        drain: std::time::Duration::from_secs(1),
        ..ServeLimits::default()
    };
    let (tasks, stop_admin) = (Tasks::new(), CancellationToken::new());
    tasks.spawn("admin", serve(socket, admin, limits, stop_admin.clone()));

    let stop = CancellationToken::new();
    tasks.spawn("signals", stop_on_signal(stop.clone()));
    let queues = Queues::new(&metrics);
    let workers = usize::from(config.workers);
    let engine = Engine {
        context,
        servers: Arc::new(PgServers::default()),
        health,
        activity,
        scopes,
        workers,
    };
    let candidate = Candidate {
        client,
        namespace: config.lease_namespace().to_owned(),
        identity: instance,
        gauge: metrics.leader.with_label_values(&[LEASE]),
        timing: Timing::default(),
    };
    tracing::info!(version = config.image_tag, admin = %config.admin_listen, "starting");
    let ended = candidate
        .lead(stop.clone(), |working| async {
            let announced = engine.context.claims.announce(&engine.scopes);
            tokio::select! {
                () = engine.work(&ControllerKind::ALL, queues, working) => {}
                () = announced.then(|()| pending()) => {}
            }
        })
        .await;
    stop_admin.cancel();
    ended?;
    anyhow::ensure!(
        stop.is_cancelled(),
        "the controllers exited before shutdown was requested"
    );
    tracing::info!("stopped");
    Ok(())
}

async fn connect(metrics: &Metrics, activity: &Activity) -> anyhow::Result<Client> {
    let mut config = KubeConfig::infer().await.context("finding the cluster")?;
    // Retries inside the client would hide trouble from the counters and eat a worker's time; every
    // object has a backoff of its own.
    config.default_retry = false;
    let host = config
        .cluster_url
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    let accounting = Accounting::new(metrics.clone(), activity.clone(), &host);
    let builder = ClientBuilder::try_from(config).context("making the client")?;
    Ok(builder.with_layer(&accounting).build())
}

fn start_logging(filter: &str) -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_new(filter).context("reading the log filter")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .try_init()
        .map_err(|error| anyhow::anyhow!(error))
        .context("starting the log")
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without handlers the default action of the signals ends the process.
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutdown requested");
    stop.cancel();
}
