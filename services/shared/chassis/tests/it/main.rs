//! The chassis from outside: through routers and sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod api;
mod drain;
mod process;
mod tokens;
