//! User over its API, on a real PostgreSQL, beside an auth of the test's own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod app;
mod events;
mod forged;
mod openapi;
mod profile;
mod read_through;
