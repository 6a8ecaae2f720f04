//! The events that cause a message to a customer.

pub mod consume;
mod message;
pub mod trigger;
