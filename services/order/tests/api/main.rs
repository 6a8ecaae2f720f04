//! Checkouts and orders through the router, on a real PostgreSQL, with peers on real sockets that fail when told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chaos;
mod kills;
mod listening;
mod openapi;
mod orders;
mod peers;
mod place;
mod support;
