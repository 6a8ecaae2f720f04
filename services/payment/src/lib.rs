#![doc = include_str!("../README.md")]

// Reading order: what is decided, what is kept, what is done, what is asked, what is heard.
mod consume;
pub mod domain;
mod operate;
pub mod store;

pub mod api;
pub mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use consume::Listener;
pub use metrics::Metrics;
pub use state::AppState;

/// The room's schema.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("payment");

/// The room's migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/payment");

/// Ready: the pool answers, and the schema is what this build expects.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
