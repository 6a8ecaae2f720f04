//! Wires the process: bindings in, parts together, tasks spawned.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{InternalToken, Process, binding, http_client, verifier};
use outbox::Consumer;
use user::config::ServeConfig;
use user::{Accounts, AppState, Listener, Metrics, SCHEMA};
use vocabulary::SystemClock;

const CONNECTIONS: u32 = 10;
/// Peers that answer later than this count as away.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until told to stop.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        tokens,
        auth_url,
    } = config;
    let process = Process::new("user", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(read("database")?.require("uri")?, CONNECTIONS, "user")
        .context("reading the database's address")?;
    let bus = bus::connect(&read("bus")?, "user").await?;
    let client = http_client(PEER_TIMEOUT)?;
    let internal = InternalToken::new(read("internal")?.require("token")?);
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        accounts: Accounts::new(client.clone(), &auth_url, internal.clone()),
        verifier: verifier(&tokens, client),
        internal,
        metrics: Metrics::new(process.registry())?,
    };
    let series = outbox::Metrics::new(process.registry())?;
    let consumer = Consumer::new(pool.clone(), bus, SCHEMA, Listener::new(&app), series);
    process
        .route(user::router(app))
        .readiness("database", move || user::ready(pool.clone()))
        .spawn("consumer", |stop| consumer.run(stop))
        .run()
        .await
}
