//! Waiting on a condition, with a bound.

use std::time::{Duration, Instant};

/// Waits up to twenty seconds until `probe` gives something.
pub async fn eventually<T, Fut>(what: &str, probe: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Option<T>>,
{
    eventually_within(Duration::from_secs(20), what, probe).await
}

/// Waits until `probe` gives something, or panics when the time is up.
pub async fn eventually_within<T, Fut>(
    bound: Duration,
    what: &str,
    mut probe: impl FnMut() -> Fut,
) -> T
where
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < bound, "not within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
