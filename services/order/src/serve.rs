//! Wires the process: bindings in, parts together, tasks spawned.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{InternalToken, Process, binding, http_client, verifier};
use order::config::ServeConfig;
use order::{AppState, Listener, Metrics, Peers, SCHEMA};
use outbox::{Consumer, Relay};
use vocabulary::{SystemClock, SystemEntropy};

const CONNECTIONS: u32 = 16;
/// A peer that answers later than this counts as away. Well below the lease of a checkout.
const PEER_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves until told to stop.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        tokens,
        peers,
        shop_currencies,
    } = config;
    let process = Process::new("order", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(read("database")?.require("uri")?, CONNECTIONS, "order")
        .context("reading the database's address")?;
    let bus = bus::connect(&read("bus")?, "order").await?;
    let client = http_client(PEER_TIMEOUT)?;
    let internal = InternalToken::new(read("internal")?.require("token")?);
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        peers: Peers::new(client.clone(), &peers, internal),
        verifier: verifier(&tokens, client),
        metrics: Metrics::new(process.registry())?,
        tasks: process.tasks(),
        currencies: shop_currencies.into(),
    };
    let series = outbox::Metrics::new(process.registry())?;
    let relay = Relay::new(pool.clone(), bus.clone(), SCHEMA, "order", series.clone());
    let listener = Listener::new(app.clone());
    let consumer = Consumer::new(pool.clone(), bus, SCHEMA, listener, series);
    let swept = app.clone();
    process
        .route(order::router(app))
        .readiness("database", move || order::ready(pool.clone()))
        .spawn("relay", |stop| relay.run(stop))
        .spawn("consumer", |stop| consumer.run(stop))
        .spawn("sweeper", |stop| order::sweep::run(swept, stop))
        .run()
        .await
}
