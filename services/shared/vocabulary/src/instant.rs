//! Where time and randomness enter the house.

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time. Lives in a process' state; domain functions are told an instant instead.
pub trait Clock: Send + Sync {
    /// The present instant, in whole microseconds, as PostgreSQL keeps it.
    fn now(&self) -> DateTime<Utc>;
}

/// The computer's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may read the system's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        // Micros: what is kept in memory must equal what is read back from a timestamptz.
        Utc::now().trunc_subsecs(6)
    }
}

/// Gives the random part of an id.
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
        // Without randomness no id is unique: there is nothing sensible to go on with.
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        bytes
    }
}
