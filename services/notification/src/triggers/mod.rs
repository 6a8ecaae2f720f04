//! The events that cause a message to a customer.

pub mod consume;
pub mod trigger;
