#![doc = include_str!("../README.md")]

mod access_log;
mod clock;
pub mod config;
pub mod control;
mod edge;
mod gateway;
mod metrics;
mod policy;
mod problem;
mod upstream;
mod worker;

pub use access_log::LogSink;
pub use gateway::Gateway;
pub use metrics::Metrics;
pub use worker::Shared;

/// Spawns on the runtime of the control side. Its tasks watch and fetch: nothing is lost when they end
/// with the process, so drain does not wait for them.
#[expect(
    clippy::disallowed_methods,
    reason = "control tasks end with the process, see above"
)]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(work));
}

/// Spawns on this worker's thread. What has to be waited for takes a [`worker::Hold`] with it.
fn spawn_local(work: impl Future<Output = ()> + 'static) {
    drop(tokio::task::spawn_local(work));
}
