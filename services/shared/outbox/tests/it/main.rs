//! Outbox and inbox against a real PostgreSQL and a real NATS.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod cluster;
mod delivery;
mod faults;
mod idempotency;
mod migrations;
mod pool;
mod traces;
mod world;
