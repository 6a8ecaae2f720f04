//! Wires the process: bindings in, parts together, tasks spawned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use auth::admin::FirstAdmin;
use auth::config::ServeConfig;
use auth::{AppState, Hasher, Issuer, LoginTallies, Metrics, SCHEMA};
use chassis::{InternalToken, Process, binding};
use outbox::Relay;
use vocabulary::{SystemClock, SystemEntropy};

/// Connections to the database; a hash takes longer than a statement, so few are busy at once.
const CONNECTIONS: u32 = 10;

/// Serves until told to stop.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        token_issuer,
        token_audience,
    } = config;
    let process = Process::new("auth", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(read("database")?.require("uri")?, CONNECTIONS, "auth")
        .context("reading the database's address")?;
    let bus = bus::connect(&read("bus")?, "auth").await?;
    let cache = read("cache")?;
    let metrics = Metrics::new(process.registry())?;
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        hasher: Hasher::new(std::thread::available_parallelism()?.get(), metrics.clone()),
        tallies: LoginTallies::connect(cache.require("uri")?, cache.get("ca.crt"), metrics.clone())
            .context("reading the cache's address")?,
        issuer: Arc::new(Issuer {
            keyring: auth::read_keyring(&read("signing-keys")?)?,
            name: token_issuer,
            audience: token_audience,
        }),
        internal: InternalToken::new(read("internal")?.require("token")?),
        metrics,
    };
    let admin = FirstAdmin::read(&read("admin")?)?;
    let ensured = Arc::new(AtomicBool::new(false));
    let series = outbox::Metrics::new(process.registry())?;
    let relay = Relay::new(pool.clone(), bus, SCHEMA, "auth", series);
    let (keeper, sweeper, done) = (app.clone(), app.clone(), Arc::clone(&ensured));
    process
        .route(auth::router(app))
        .readiness("database", move || auth::ready(pool.clone()))
        .readiness("administrator", move || {
            let ensured = ensured.load(Ordering::Relaxed);
            std::future::ready(ensured.then_some(()).ok_or("not there yet".to_owned()))
        })
        .spawn("relay", |stop| relay.run(stop))
        .spawn("administrator", |stop| {
            auth::admin::keep(keeper, admin, done, stop)
        })
        .spawn("sweeper", |stop| auth::sweep::run(sweeper, stop))
        .run()
        .await
}
