#![doc = include_str!("../README.md")]

// Reading order: what is decided, what is kept, what is remembered for a while, what is asked,
// what is heard, what is tidied.
mod cards;
mod consume;
pub mod domain;
pub mod store;
pub mod sweep;

pub mod api;
pub mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use cards::Cards;
pub use consume::Listener;
pub use metrics::Metrics;
pub use state::AppState;

/// The room's schema.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("product");

/// The room's migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/product");

/// Ready: the pool answers, and the schema is what this build expects.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
