//! The ways to deliver a message.

pub mod email;
pub mod error;
pub mod health;
