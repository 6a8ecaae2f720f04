#![doc = include_str!("../README.md")]

mod context;

pub use context::{Context, TraceContext, continued, current, request_id, scope};
