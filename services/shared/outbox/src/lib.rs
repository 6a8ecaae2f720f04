#![doc = include_str!("../README.md")]

mod append;
mod backoff;
mod consumer;
mod database_error;
mod error;
pub mod idempotency;
mod lock;
mod metrics;
pub mod migrate;
pub mod pool;
mod relay;
mod routing;
mod schema;
mod spans;

pub use append::{Row, append};
pub use consumer::{
    Consumer, ConsumerOptions, DeadLetter, Handler, HandlerError, dead_letters, replay_dead_letter,
};
pub use database_error::{is_unavailable, told};
pub use error::{OutboxError, Unhealthy};
pub use events::EventMeta;
pub use metrics::Metrics;
pub use relay::{Relay, RelayOptions};
pub use schema::Schema;
