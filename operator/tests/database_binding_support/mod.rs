//! What the tests of DatabaseBinding stand on: a real PostgreSQL, a small API server, and chaos.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason
)]

pub mod api;
pub mod chaos;
pub mod life;
pub mod postgres;
pub mod world;
