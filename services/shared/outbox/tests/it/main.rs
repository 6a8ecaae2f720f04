//! Outbox and inbox against a real PostgreSQL and a real NATS.

mod delivery;
mod faults;
mod idempotency;
mod migrations;
mod pool;
mod world;
