#![doc = include_str!("../README.md")]
#![expect(missing_docs, reason = "no other crate uses these items as an API")]

use std::sync::Arc;
use std::time::Duration;

use chassis::{http_client, verifier};
use service::Builder;

mod spec;

// Reading order: what is wanted, how it becomes an order, what an order may become, who is called, which events come in.
pub mod cart;
pub mod checkout;
pub mod orders;

mod clients;
pub mod consume;

mod api;
pub mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use checkout::api::response::HttpResponses;
pub use clients::Clients;
pub use config::Config;
pub use metrics::Metrics;
pub use spec::{MIGRATOR, SCHEMA, SPEC};
pub use state::AppState;

use checkout::resume::{CountOpenCheckouts, ResumeCheckouts};

/// A service that answers later than this is unavailable. Well below the lease of a checkout.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Assembles the service.
pub fn assemble(config: Config, builder: Builder) -> anyhow::Result<Builder> {
    let Config {
        tokens,
        services,
        shop_currencies,
    } = config;
    let client = http_client(CALL_TIMEOUT)?;
    let app = AppState {
        core: builder.core(),
        starts: Arc::default(),
        advances: Arc::default(),
        clients: Clients::new(&client, &services, &builder.internal_token()?),
        renderer: Arc::new(HttpResponses),
        verifier: verifier(&tokens, client),
        metrics: Metrics::new(builder.registry())?,
        tasks: builder.tasks(),
        currencies: shop_currencies.into(),
    };
    Ok(builder
        .relay()
        .consume(consume::subscriptions(app.clone()))
        .periodic(ResumeCheckouts(app.clone()))
        .periodic(CountOpenCheckouts(app.clone()))
        .api(router(app)))
}
