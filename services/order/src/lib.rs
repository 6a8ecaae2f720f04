#![doc = include_str!("../README.md")]
#![expect(
    missing_docs,
    reason = "only this crate's program and tests use its items"
)]

// Reading order: what is wanted, how it becomes an order, what an order may become, who is called, which events come in.
pub mod cart;
pub mod checkout;
pub mod orders;

mod clients;
mod consume;

mod api;
pub mod config;
mod metrics;
mod state;
mod store;

pub use api::{openapi, router};
pub use checkout::api::response::HttpResponses;
pub use clients::Clients;
pub use consume::Consumers;
pub use metrics::Metrics;
pub use state::AppState;

/// The service's schema.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("orders");

/// The service's migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/order");

/// Ready: the pool answers, and the schema is what this build expects.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
