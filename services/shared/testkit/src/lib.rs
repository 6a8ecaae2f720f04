#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot be set up has failed"
)]

mod collector;
mod db;
mod eventually;
mod http;
mod openapi;
pub mod provider;
mod servers;
mod still;
mod tokens;

pub use crate::collector::{Collector, Mood, SeenSpan};
pub use crate::db::{TestDb, db};
pub use crate::eventually::{eventually, eventually_within};
pub use crate::http::{Answer, Call, delete, get, post, put, request};
pub use crate::openapi::{AccessTable, conforming};
pub use crate::servers::{
    Nats, Redis, free_port, nats, nats_cluster, nats_configured, redis, redis_configured, redis_tls,
};
pub use crate::still::{FixedClock, SeededEntropy};
pub use crate::tokens::TestTokens;
