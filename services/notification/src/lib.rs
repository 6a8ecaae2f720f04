#![doc = include_str!("../README.md")]

// Reading order: what is written, what is kept, what is heard, what is sent, what is asked.
mod consume;
pub mod domain;
mod postman;
mod sender;
mod store;

pub mod api;
pub mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use consume::Listener;
pub use metrics::Metrics;
pub use postman::{Postman, PostmanError};
pub use sender::Sender;
pub use state::AppState;

/// The room's schema.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("notification");

/// The room's migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/notification");

/// Ready: the pool answers, and the schema is what this build expects. The mail server is not asked:
/// mail waits in the table while it is away.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
