//! What a customer wants to buy: validated before anything else happens.

pub mod api;
pub mod domain;
