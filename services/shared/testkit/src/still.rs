//! Time and randomness that stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use vocabulary::{Clock, Entropy};

/// A clock that moves when told. Clones share the time.
#[derive(Debug, Clone)]
pub struct FixedClock(Arc<AtomicI64>);

impl FixedClock {
    /// A clock that stands at an instant, in whole microseconds.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Arc::new(AtomicI64::new(now.timestamp_micros())))
    }

    /// A clock that stands at an instant such as `2026-01-31T12:00:00Z`.
    pub fn at(now: &str) -> Self {
        Self::new(now.parse().expect("an RFC 3339 instant"))
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        let micros = by.num_microseconds().expect("less than 292,000 years");
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the clock.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_micros(), Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::at("2026-01-31T12:00:00Z")
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).expect("an instant")
    }
}

/// Randomness that repeats: the same seed gives the same bytes in the same order. Clones share.
#[derive(Debug, Clone, Default)]
pub struct SeededEntropy(Arc<AtomicU64>);

impl SeededEntropy {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed.wrapping_mul(1 << 32))))
    }
}

impl Entropy for SeededEntropy {
    fn bytes(&self) -> [u8; 10] {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&scatter(count).to_be_bytes());
        bytes[8..].copy_from_slice(&scatter(!count).to_be_bytes()[..2]);
        bytes
    }
}

/// SplitMix64's finisher: neighbouring counts give unlike bytes, no two give the same.
fn scatter(count: u64) -> u64 {
    let mut z = count.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
