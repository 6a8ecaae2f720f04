//! Waiting on a condition with a bound; never a bare sleep.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// Asks `look` until it answers `Ok`, at most for `limit`. The last refusal becomes the error, so
/// that a story that fails says what it was still waiting for.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(seen) => return Ok(seen),
            Err(refusal) if start.elapsed() >= limit => {
                return Err(refusal.context(format!("{what}: not within {} s", limit.as_secs())));
            }
            Err(_) => std::thread::sleep(PERIOD),
        }
    }
}
