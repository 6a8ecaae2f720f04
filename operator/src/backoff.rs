//! How long a failed object waits: per object, so that one bad shop never slows another.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kube_cache::Key;

/// First wait.
const BASE: Duration = Duration::from_millis(500);
/// Longest wait, jitter included.
pub const CAP: Duration = Duration::from_secs(300);

/// Failures in a row of each object that is failing.
#[derive(Default)]
pub struct Backoff {
    failing: Mutex<HashMap<Key, Failures>>,
    jitter: RandomState,
}

struct Failures {
    uid: String,
    generation: i64,
    delays: ExponentialBackoff,
}

impl Failures {
    fn of(uid: &str, generation: i64) -> Self {
        Self {
            uid: uid.to_owned(),
            generation,
            delays: ExponentialBuilder::default()
                .with_min_delay(BASE)
                .with_max_delay(CAP)
                .without_max_times()
                .build(),
        }
    }
}

impl Backoff {
    /// Counts a failure and returns how long to wait. A new object of the same name, or a new generation
    /// of its spec, starts over: the cause may just have been fixed.
    pub fn failed(&self, key: &Key, uid: &str, generation: i64) -> Duration {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = failing
            .entry(key.clone())
            .or_insert_with(|| Failures::of(uid, generation));
        if entry.uid != uid || entry.generation != generation {
            *entry = Failures::of(uid, generation);
        }
        let delay = entry.delays.next().unwrap_or(CAP);
        jittered(delay, self.jitter.hash_one((key, delay)))
    }

    /// Forgets the failures of an object that succeeded or is gone.
    pub fn clear(&self, key: &Key) {
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// How many objects are failing now.
    pub fn failing(&self) -> usize {
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// Takes up to a quarter off, so that objects which failed together are not retried together. The
/// jitter of backon adds up to as much again and would exceed [`CAP`].
fn jittered(delay: Duration, random: u64) -> Duration {
    let permille = u32::try_from(random % 1000).unwrap_or_default();
    delay.saturating_sub(delay / 4 * permille / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new("shops", "demo")
    }

    #[test]
    fn waits_grow_to_the_cap_and_never_beyond() {
        let backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.failed(&key(), "u", 1)).collect();
        assert!(waits[0] <= BASE && waits[0] >= BASE * 3 / 4);
        assert!(waits[5] > waits[0] * 8);
        assert!(waits.iter().all(|wait| *wait <= CAP));
        assert!(waits[39] >= CAP * 3 / 4);
    }

    #[test]
    fn a_new_generation_or_object_starts_afresh() {
        let backoff = Backoff::default();
        for _ in 0..10 {
            backoff.failed(&key(), "u", 1);
        }
        assert!(backoff.failed(&key(), "u", 2) <= BASE);
        assert!(backoff.failed(&key(), "v", 2) <= BASE);
    }

    #[test]
    fn success_is_remembered_by_forgetting() {
        let backoff = Backoff::default();
        backoff.failed(&key(), "u", 1);
        assert_eq!(backoff.failing(), 1);
        backoff.clear(&key());
        assert_eq!(backoff.failing(), 0);
    }
}
