//! Tests of the API on a real PostgreSQL, beside a fake auth.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod app;
mod events;
mod forged;
mod openapi;
mod profile;
mod read_through;
