#![doc = include_str!("../README.md")]
#![expect(
    missing_docs,
    reason = "a service is no library: what is public is so for its tests"
)]

// Reading order: who is asked, what is decided and stored, what is consumed, what is served.
pub mod ledger;
pub mod providers;

pub mod attempts;
mod consume;
mod webhooks;

pub mod api;
pub mod config;
mod metrics;
mod schema;
mod state;

pub use api::{openapi, router};
pub use attempts::worker::{Worker, WorkerOptions};
pub use consume::Listener;
pub use metrics::Metrics;
pub use schema::{MIGRATOR, SCHEMA, ready};
pub use state::AppState;
