//! Payments through the router, on a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod http;
mod ledger;
mod listening;
mod openapi;
mod support;
