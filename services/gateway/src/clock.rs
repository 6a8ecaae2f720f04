//! The only place that reads the system clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the data plane has no injected clock: tokens and \
    log lines refer to the real time"
)]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The instant.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The instant as RFC 3339, for logs.
pub fn rfc3339_now() -> String {
    format!("{:.6}", now())
}
