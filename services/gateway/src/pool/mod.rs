//! The way to backends: endpoints, their connections and their health. One pool for each worker.

mod body;
mod budget;
mod endpoint;
mod endpoints;
mod patient;
mod send;

pub use body::{BodyError, RequestBody, Upload};
pub use endpoint::Lease;
pub use send::{Answer, Failed, Pool, SendError, TimeLimits};
