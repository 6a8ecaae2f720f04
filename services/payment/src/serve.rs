//! Builds the process from its bindings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{InternalToken, Process, binding, http_client, verifier};
use outbox::{Consumer, Relay};
use payment::config::ServeConfig;
use payment::providers::Providers;
use payment::{AppState, Listener, Metrics, SCHEMA, Worker, WorkerOptions};
use vocabulary::{SystemClock, SystemEntropy};

const CONNECTIONS: u32 = 16;
/// The key set of the issuer must answer within this time.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until shutdown is requested.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        tokens,
        payment_methods,
    } = config;
    let process = Process::new("payment", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(read("database")?.require("uri")?, CONNECTIONS, "payment")
        .context("reading the database's address")?;
    let bus = bus::connect(&read("bus")?, "payment").await?;
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        verifier: verifier(&tokens, http_client(PEER_TIMEOUT)?),
        internal: InternalToken::new(read("internal")?.require("token")?),
        providers: Arc::new(Providers::offering(&payment_methods)?),
        wake: Arc::default(),
        metrics: Metrics::new(process.registry())?,
    };
    let series = outbox::Metrics::new(process.registry())?;
    let relay = Relay::new(pool.clone(), bus.clone(), SCHEMA, "payment", series.clone());
    let listener = Listener::new(app.clone());
    let consumer = Consumer::new(pool.clone(), bus, SCHEMA, listener, series);
    let worker = Worker::new(app.clone(), WorkerOptions::default());
    process
        .route(payment::router(app))
        .readiness("database", move || payment::ready(pool.clone()))
        .spawn("relay", |stop| relay.run(stop))
        .spawn("consumer", |stop| consumer.run(stop))
        .spawn("worker", |stop| worker.run(stop))
        .run()
        .await
}
