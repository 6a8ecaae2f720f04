#![doc = include_str!("../README.md")]

mod append;
pub mod bus;
mod consumer;
mod error;
pub mod idempotency;
mod leader;
mod metrics;
pub mod migrate;
pub mod pool;
mod relay;
mod schema;
mod spans;

pub use append::{Row, append};
pub use bus::Bus;
pub use consumer::{
    Consumer, ConsumerOptions, DeadLetter, EffectError, Effects, dead_letters, replay_dead_letter,
};
pub use error::{OutboxError, Unhealthy};
pub use events::EventMeta;
pub use metrics::Metrics;
pub use relay::{Relay, RelayOptions};
pub use schema::Schema;
