//! Waiting on a condition with a bound; never a sleep alone.

use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(250);

/// How many times longer a pause is than the check before it. A check often starts kubectl, and stories that ask without
/// a pause took a quarter of the cores from the shops that they wait for.
const REST: u32 = 3;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);

/// Calls `check` until it returns `Ok`, for `limit` at most, with pauses between. The last error is returned with `what`, so that a story that
/// fails names what it waited for.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        match check() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() >= limit => {
                return Err(error.context(format!("{what}: not within {} s", limit.as_secs())));
            }
            Err(_) => std::thread::sleep(PERIOD.max(asked.elapsed() * REST).min(LONGEST)),
        }
    }
}
