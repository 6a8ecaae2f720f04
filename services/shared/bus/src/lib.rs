#![doc = include_str!("../README.md")]

mod error;
pub mod nats;
mod transport;

pub use error::BusError;
pub use transport::{
    Bus, ConsumerSpec, Message, Offsets, Outgoing, Position, Published, StreamState, Subscription,
    Transport,
};

/// Connects to the broker that a binding names. `name` shows in the broker's list of connections.
pub async fn connect(binding: &chassis::Binding, name: &str) -> Result<Bus, BusError> {
    nats::connect_bound(binding, name).await
}
