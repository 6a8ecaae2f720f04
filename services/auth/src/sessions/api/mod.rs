//! Endpoints of sessions.

pub mod log_in;
pub mod log_out;
mod network;
pub mod refresh;
mod tokens;
