#![doc = include_str!("../README.md")]

// Reading order: what is decided, what is kept, what is asked.
pub mod domain;
mod hasher;
mod store;
mod tallies;

pub mod admin;
pub mod api;
pub mod config;
mod keys;
mod metrics;
mod state;
pub mod sweep;

pub use api::{openapi, router};
pub use hasher::Hasher;
pub use keys::{KeysError, read_keyring};
pub use metrics::Metrics;
pub use state::{AppState, Issuer};
pub use tallies::LoginTallies;

/// The room's schema.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("auth");

/// The room's migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/auth");

/// Ready: the pool answers, and the schema is what this build expects.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
