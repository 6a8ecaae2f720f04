//! Wires the process: bindings in, parts together, tasks spawned.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{Process, binding, http_client, verifier};
use notification::config::ServeConfig;
use notification::domain::letter::Shop;
use notification::{AppState, Listener, Metrics, Postman, SCHEMA, Sender};
use outbox::Consumer;
use vocabulary::{SystemClock, SystemEntropy};

const CONNECTIONS: u32 = 10;
/// Keys of the issuer that take longer count as not to be had.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until told to stop.
pub async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let ServeConfig {
        process,
        bindings,
        tokens,
        shop_name,
        shop_url,
        shop_locale,
    } = config;
    let process = Process::new("notification", &process)?;
    let read = |name: &str| binding(&bindings.binding_root, name);
    let pool = outbox::pool::connect(
        read("database")?.require("uri")?,
        CONNECTIONS,
        "notification",
    )
    .context("reading the database's address")?;
    let bus = bus::connect(&read("bus")?, "notification").await?;
    let shop = Arc::new(Shop {
        name: shop_name,
        url: shop_url,
        locale: shop_locale,
    });
    let app = AppState {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        verifier: verifier(&tokens, http_client(PEER_TIMEOUT)?),
        shop: Arc::clone(&shop),
        metrics: Metrics::new(process.registry())?,
    };
    let postman =
        Postman::new(&read("smtp")?, &shop).context("reading the mail server's binding")?;
    let sender = Sender::new(app.clone(), postman);
    let series = outbox::Metrics::new(process.registry())?;
    let consumer = Consumer::new(pool.clone(), bus, SCHEMA, Listener::new(&app), series);
    process
        .route(notification::router(app))
        .readiness("database", move || notification::ready(pool.clone()))
        .spawn("consumer", |stop| consumer.run(stop))
        .spawn("sender", |stop| sender.run(stop))
        .run()
        .await
}
