#![doc = include_str!("../README.md")]

// In the order of their dependencies: each module uses only those above it.
mod access_log;
mod clock;
pub mod config;
pub mod control;
mod edge;
mod gateway;
mod live;
mod metrics;
mod policy;
mod pool;
mod published;
mod worker;

pub use access_log::LogSink;
pub use gateway::Gateway;
pub use metrics::Metrics;
pub use worker::Shared;

/// Spawns on the runtime of the control side. Its tasks only watch and fetch, so drain does not wait for them.
#[expect(
    clippy::disallowed_methods,
    reason = "control tasks end with the process, see above"
)]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(work));
}

/// Spawns on the thread of the worker. What drain has to wait for takes a [`live::Hold`] along.
fn spawn_local(work: impl Future<Output = ()> + 'static) {
    drop(tokio::task::spawn_local(work));
}
