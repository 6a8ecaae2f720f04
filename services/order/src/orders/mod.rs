//! Orders and their history.

pub mod api;
pub mod domain;
pub mod store;
