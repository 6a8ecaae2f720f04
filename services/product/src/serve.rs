//! Wires the process: bindings in, parts together, tasks spawned.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{InternalToken, Process, binding, http_client, verifier};
use outbox::{Consumer, Relay};
use product::config::ServeConfig;
use product::{AppState, Cards, Listener, Metrics, SCHEMA};
use vocabulary::{SystemClock, SystemEntropy};

const CONNECTIONS: u32 = 16;
/// The key set of the issuer must answer within this time.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until told to stop.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        tokens,
    } = config;
    let process = Process::new("product", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(read("database")?.require("uri")?, CONNECTIONS, "product")
        .context("reading the database's address")?;
    let bus = bus::connect(&read("bus")?, "product").await?;
    let cache = read("cache")?;
    let metrics = Metrics::new(process.registry())?;
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        cards: Cards::connect(cache.require("uri")?, cache.get("ca.crt"), metrics.clone())
            .context("reading the cache's address")?,
        verifier: verifier(&tokens, http_client(PEER_TIMEOUT)?),
        internal: InternalToken::new(read("internal")?.require("token")?),
        metrics,
    };
    let series = outbox::Metrics::new(process.registry())?;
    let relay = Relay::new(pool.clone(), bus.clone(), SCHEMA, "product", series.clone());
    let consumer = Consumer::new(pool.clone(), bus, SCHEMA, Listener::new(&app), series);
    let sweeper = app.clone();
    process
        .route(product::router(app))
        .readiness("database", move || product::ready(pool.clone()))
        .spawn("relay", |stop| relay.run(stop))
        .spawn("consumer", |stop| consumer.run(stop))
        .spawn("sweeper", |stop| product::sweep::run(sweeper, stop))
        .run()
        .await
}
