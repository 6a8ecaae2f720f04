//! The way to backends: endpoints, their connections and their health.

mod endpoint;
mod send;

pub use endpoint::{Endpoint, Endpoints, Lease};
pub use send::{Patience, RetryBudget, SendError, send};
