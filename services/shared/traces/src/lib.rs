#![doc = include_str!("../README.md")]

mod config;
mod context;
mod delivery;
mod exporter;
mod failure;
pub mod http;
mod otlp;
mod post;
mod span;

pub use config::{Ratio, TracingConfig};
pub use context::{Context, TraceContext, current, request_id, scope};
pub use delivery::Delivery;
pub use exporter::{Exporter, ExporterError, ExporterOptions, is_on};
pub use failure::chain;
pub use post::EndpointError;
pub use span::{Kind, Record, Span, Value, continued};
