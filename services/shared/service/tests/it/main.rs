//! Tests of crate service over HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod api;
mod caller;
mod unavailable;
