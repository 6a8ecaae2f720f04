#![doc = include_str!("../README.md")]

mod collector;
mod config;
mod context;
mod delivery;
mod exporter;
mod failure;
pub mod http;
mod options;
mod otlp;
mod outcomes;
mod record;
mod span;

pub use collector::EndpointError;
pub use config::{Ratio, TracingConfig};
pub use context::{Context, TraceContext, current, request_id, scope};
pub use delivery::Delivery;
pub use exporter::{Exporter, ExporterError, is_on};
pub use failure::chain;
pub use options::ExporterOptions;
pub use record::{Kind, Record, Value};
pub use span::{Span, continued};
