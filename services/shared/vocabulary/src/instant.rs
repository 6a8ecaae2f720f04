//! The only sources of time and randomness.

use chrono::{DateTime, SubsecRound, Utc};

/// Source of the current time, part of a process's state. Domain functions take an instant as an argument instead.
pub trait Clock: Send + Sync {
    /// The current time in whole microseconds, the resolution of PostgreSQL.
    fn now(&self) -> DateTime<Utc>;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may read the system's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        // An instant in memory must equal the one read back from a timestamptz.
        Utc::now().trunc_subsecs(6)
    }
}

/// Source of the random part of an id.
pub trait Entropy: Send + Sync {
    /// Ten bytes; a UUIDv7 uses 74 bits of them.
    fn bytes(&self) -> [u8; 10];
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        // Without randomness ids would collide: the process must not continue.
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        bytes
    }
}
