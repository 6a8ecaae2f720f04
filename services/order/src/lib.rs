#![doc = include_str!("../README.md")]

// Reading order: what is decided, what is kept, who is asked, what is done, what is heard, what happens by itself.
mod answer;
mod consume;
pub mod domain;
pub mod drive;
mod peers;
pub mod store;
pub mod sweep;

pub mod api;
pub mod config;
mod metrics;
mod state;

pub use api::{openapi, router};
pub use consume::Listener;
pub use metrics::Metrics;
pub use peers::Peers;
pub use state::AppState;

/// The room's schema.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("orders");

/// The room's migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/order");

/// Ready: the pool answers, and the schema is what this build expects.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
