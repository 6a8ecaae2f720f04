//! Outbox and inbox on a real PostgreSQL, and on a real NATS or a log in memory.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[macro_use]
mod broker;
mod cluster;
mod commits;
mod delivery;
mod faults;
mod idempotency;
mod log;
mod migrations;
mod pool;
mod takes;
mod traces;
mod world;
