#![doc = include_str!("../README.md")]
#![expect(missing_docs, reason = "no other crate uses these items as an API")]

use std::sync::Arc;
use std::time::Duration;

use chassis::{http_client, verifier};
use service::Builder;

use crate::providers::Providers;

mod spec;

// Reading order: who is asked, what is decided and stored, what is consumed, what is served.
pub mod ledger;
pub mod providers;

pub mod attempts;
pub mod consume;
mod webhooks;

pub mod api;

mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use attempts::worker::{Worker, WorkerOptions};
pub use config::Config;
pub use metrics::Metrics;
pub use spec::{MIGRATOR, SCHEMA, SPEC};
pub use state::AppState;
pub use webhooks::sweep::NotificationSweep;

/// The key set of the issuer must answer within this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Assembles the service.
pub fn assemble(config: Config, builder: Builder) -> anyhow::Result<Builder> {
    let Config {
        tokens,
        payment_methods,
    } = config;
    let app = AppState {
        core: builder.core(),
        verifier: verifier(&tokens, http_client(CALL_TIMEOUT)?),
        internal: builder.internal_token()?,
        providers: Arc::new(Providers::offering(&payment_methods)?),
        requests: Arc::default(),
        wake: Arc::default(),
        metrics: Metrics::new(builder.registry())?,
    };
    let worker = Worker::new(app.clone(), WorkerOptions::default());
    Ok(builder
        .consume(consume::subscriptions(app.clone()))
        .relay()
        .task("worker", |stop| worker.run(stop))
        .periodic(NotificationSweep::new(app.clone()))
        .api(router(app)))
}
