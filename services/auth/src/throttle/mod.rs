//! Throttling: counters, and who is counted.

pub mod domain;
pub mod network;
pub mod refusal;
pub mod store;
