//! The API on a real PostgreSQL and a real Redis.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod catalogue;
mod contract;
mod document;
mod low_stock;
mod model;
mod reservations;
mod support;
mod together;
