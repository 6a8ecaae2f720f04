//! What every HTTP API here has in common.

mod client;
mod extract;
mod fault;
mod layers;
mod problem;

pub use client::{Call, Client, ReadError, http_client};
pub use extract::{Json, Path, Query};
pub use layers::{HttpLimits, RequestId, layers, openapi_route};
pub use problem::{FieldError, Problem};
