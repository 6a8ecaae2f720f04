//! Wires the process: bindings in, parts together, tasks spawned.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{InternalToken, Process, binding, http_client, verifier};
use order::config::ServeConfig;
use order::{AppState, Clients, Consumers, HttpResponses, Metrics, SCHEMA};
use outbox::{Consumer, Relay};
use vocabulary::{SystemClock, SystemEntropy};

const CONNECTIONS: u32 = 16;
/// A service that answers later than this is unavailable. Well below the lease of a checkout.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves until shutdown is requested.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        tokens,
        services,
        shop_currencies,
    } = config;
    let process = Process::new("order", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(read("database")?.require("uri")?, CONNECTIONS, "order")
        .context("failed to read the database's address")?;
    let bus = bus::connect(&read("bus")?, "order").await?;
    let client = http_client(CALL_TIMEOUT)?;
    let internal = InternalToken::new(read("internal")?.require("token")?);
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        clients: Clients::new(&client, &services, &internal),
        renderer: Arc::new(HttpResponses),
        verifier: verifier(&tokens, client),
        metrics: Metrics::new(process.registry())?,
        tasks: process.tasks(),
        currencies: shop_currencies.into(),
    };
    let series = outbox::Metrics::new(process.registry())?;
    let relay = Relay::new(pool.clone(), bus.clone(), SCHEMA, "order", series.clone());
    let consumers = Consumers::new(app.clone());
    let consumer = Consumer::new(pool.clone(), bus, SCHEMA, consumers, series);
    let resumed = app.clone();
    process
        .route(order::router(app))
        .readiness("database", move || order::ready(pool.clone()))
        .spawn("relay", |stop| relay.run(stop))
        .spawn("consumer", |stop| consumer.run(stop))
        .spawn("resume", |stop| order::checkout::resume::run(resumed, stop))
        .run()
        .await
}
