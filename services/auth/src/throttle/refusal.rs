//! The answer to whoever has to wait.

use std::time::Duration;

use axum::http::StatusCode;
use chassis::Problem;

/// 429 with the seconds to wait, rounded up: a client that retries early would have to wait again.
pub fn throttled(code: &'static str, title: &'static str, wait: Duration) -> Problem {
    let secs = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, title).retry_after(secs)
}
