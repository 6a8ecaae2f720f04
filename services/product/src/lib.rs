#![doc = include_str!("../README.md")]
#![expect(missing_docs, reason = "no other crate uses these items as an API")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{http_client, verifier};
use service::Builder;

mod spec;

// Reading order: decisions, storage, cache, batches, API, events, periodic tasks.
pub mod domain;
pub mod store;

mod cards;
mod together;

mod api;
pub mod consume;
pub mod sweep;

mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use cards::Cards;
pub use config::Config;
pub use metrics::Metrics;
pub use spec::{MIGRATOR, SCHEMA, SPEC};
pub use state::AppState;
pub use together::Together;

/// The key set of the issuer must be answered within this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Assembles the service.
pub fn assemble(config: Config, builder: Builder) -> anyhow::Result<Builder> {
    let Config { tokens } = config;
    let cache = builder.binding("cache")?;
    let metrics = Metrics::new(builder.registry())?;
    let cards = Cards::connect(cache.require("uri")?, cache.get("ca.crt"), metrics.clone());
    let cards = cards.context("invalid uri in binding cache")?;
    let (known, asked) = (cards.clone(), cards.clone());
    let app = AppState {
        core: builder.core(),
        together: Arc::default(),
        cards,
        verifier: verifier(&tokens, http_client(CALL_TIMEOUT)?),
        internal: builder.internal_token()?,
        metrics,
    };
    Ok(builder
        .host("cache", cache.get("host"))
        .asked_dependency(
            "cache",
            move || known.health(),
            move || {
                let cards = asked.clone();
                async move { cards.check().await }
            },
        )
        .consume(consume::subscriptions(app.clone()))
        .periodic(sweep::ReservationSweep::new(&app))
        .relay()
        .api(router(app)))
}
