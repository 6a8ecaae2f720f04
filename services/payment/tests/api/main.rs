//! Payments through the router, on a real PostgreSQL, with a provider over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod consuming;
mod double;
mod faults;
mod http;
mod kills;
mod ledger;
mod openapi;
mod support;
mod together;
mod upgrade;
mod webhooks;
