#![doc = include_str!("../README.md")]
#![expect(missing_docs, reason = "no other crate uses these items as an API")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::{http_client, verifier};
use service::Builder;

mod spec;

// Reading order: which events cause mail, what the mail says, how it is delivered, by which channel.
pub mod shop;
pub mod triggers;

pub mod templates;

pub mod deliveries;

mod channels;

mod config;
mod metrics;
mod state;

pub use channels::email::SmtpSender;
pub use channels::error::SmtpConfigError;
pub use config::Config;
pub use deliveries::api::{openapi, router};
pub use deliveries::housekeeping::{BacklogCount, MessageSweep};
pub use deliveries::sender::Sender;
pub use metrics::Metrics;
pub use spec::{MIGRATOR, SCHEMA, SPEC};
pub use state::AppState;

use shop::Shop;

/// Requests for the issuer's keys that take longer have failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Assembles the service. The mail server is no condition of readiness: messages wait in the table while it
/// is away, and `/readyz` reports it as degraded.
pub fn assemble(config: Config, builder: Builder) -> anyhow::Result<Builder> {
    let Config {
        tokens,
        shop_name,
        shop_url,
        shop_locale,
    } = config;
    let shop = Arc::new(Shop {
        name: shop_name,
        url: shop_url,
        locale: shop_locale,
    });
    let app = AppState {
        core: builder.core(),
        verifier: verifier(&tokens, http_client(CALL_TIMEOUT)?),
        shop: Arc::clone(&shop),
        metrics: Metrics::new(builder.registry())?,
    };
    let binding = builder.binding("smtp")?;
    let smtp = SmtpSender::new(&binding, &shop).context("invalid binding smtp")?;
    let sender = Sender::new(app.clone(), smtp);
    let health = sender.health();
    Ok(builder
        .host("mail", binding.get("host"))
        .dependency("mail", move || health.check())
        .consume(triggers::consume::subscriptions(app.clone()))
        .task("sender", |stop| sender.run(stop))
        .periodic(BacklogCount::new(&app))
        .periodic(MessageSweep::new(&app))
        .api(router(app)))
}
