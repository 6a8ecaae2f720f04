#![doc = include_str!("../README.md")]
#![expect(missing_docs, reason = "no other crate uses these items as an API")]

use std::time::Duration;

use chassis::{http_client, verifier};
use service::Builder;

mod spec;

// Reading order: decisions, storage, API, events.
pub mod domain;
mod store;

mod accounts;
mod lookup;

mod api;
pub mod consume;

mod config;
mod metrics;
mod state;

pub use accounts::Accounts;
pub use api::{openapi, router};
pub use config::Config;
pub use metrics::Metrics;
pub use spec::{MIGRATOR, SCHEMA, SPEC};
pub use state::AppState;

/// Calls of another service that take longer have failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Assembles the service.
pub fn assemble(config: Config, builder: Builder) -> anyhow::Result<Builder> {
    let Config { tokens, auth_url } = config;
    let client = http_client(CALL_TIMEOUT)?;
    let internal = builder.internal_token()?;
    let app = AppState {
        core: builder.core(),
        accounts: Accounts::new(client.clone(), &auth_url, internal.clone()),
        verifier: verifier(&tokens, client),
        internal,
        metrics: Metrics::new(builder.registry())?,
    };
    Ok(builder
        .consume(consume::subscriptions(app.clone()))
        .api(router(app)))
}
