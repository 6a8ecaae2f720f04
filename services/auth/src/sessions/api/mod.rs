//! Endpoints of sessions.

pub mod log_in;
pub mod log_out;
pub mod refresh;
mod tokens;
