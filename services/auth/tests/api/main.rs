//! Tests of the API on a real PostgreSQL and a real Redis.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod app;
mod confirm;
mod internal;
mod log_in;
mod openapi;
mod refresh;
mod register;
mod throttle;
