//! Waiting on a condition with a bound; never a sleep alone.

use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(250);

/// Calls `check` until it returns `Ok`, for `limit` at most. The last error is returned with `what`, so that a story that
/// fails names what it waited for.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() >= limit => {
                return Err(error.context(format!("{what}: not within {} s", limit.as_secs())));
            }
            Err(_) => std::thread::sleep(PERIOD),
        }
    }
}
