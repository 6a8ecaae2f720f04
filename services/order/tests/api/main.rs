//! Checkouts and orders through the router, on a real PostgreSQL, with fakes of the other services on a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod awaiting;
mod chaos;
mod events;
mod fakes;
mod kills;
mod openapi;
mod orders;
mod place;
mod support;
mod together;
