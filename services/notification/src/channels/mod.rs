//! The ways to deliver a message.

pub mod email;
