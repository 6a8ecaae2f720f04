#![doc = include_str!("../README.md")]

mod auth;
mod binding;
mod config;
mod dependency;
mod http;
pub mod listen;
mod names;
mod network;
pub mod precondition;
mod process;
mod registry;
mod serve;
mod spans;
mod tasks;
mod telemetry;

pub use crate::auth::{InternalCaller, InternalToken, Verifier, verifier};
pub use crate::binding::{Binding, BindingError, Secret, binding};
pub use crate::config::{BindingConfig, ProcessConfig, TokenConfig};
pub use crate::dependency::{NO_ANSWER_YET, READINESS_LIMIT};
pub use crate::http::{
    Call, Client, FieldError, HttpLimits, Json, Path, Problem, Query, ReadError, RequestId,
    http_client, layers, openapi_route,
};
pub use crate::names::unresolved;
pub use crate::network::client_network;
pub use crate::process::{Process, readiness};
pub use crate::registry::{HttpMetrics, Registry};
pub use crate::serve::{ServeLimits, serve};
pub use crate::spans::Spans;
pub use crate::tasks::Tasks;
pub use traces as trace;
