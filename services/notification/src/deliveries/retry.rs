//! Decides when a message is retried and when it is given up.

use chrono::{DateTime, TimeDelta, Utc};

/// Attempts until a message is dead; an administrator can replay it.
pub const MAX_ATTEMPTS: i32 = 10;
/// Life of a claim on a message: longer than the timeout of the mail server.
pub const CLAIM_SECS: i64 = 90;
/// First pause; each further one is twice as long.
const FIRST_PAUSE_SECS: i64 = 15;
/// The longest pause. Ten attempts take about two hours.
const LONGEST_PAUSE_SECS: i64 = 3600;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Retry, not before this instant.
    Retry(DateTime<Utc>),
    /// Give up.
    Dead,
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The mail server did not answer or refused, possibly because it is misconfigured: that can be fixed
    /// while messages wait.
    Server,
    /// The address is invalid: no server will ever accept it.
    Address,
}

/// What follows the failure of attempt number `attempts`. `random` spreads retries by a fifth, so that a mail
/// server that recovers does not get all of them at once.
pub fn after_failure(failure: Failure, attempts: i32, now: DateTime<Utc>, random: u8) -> Next {
    if failure == Failure::Address || attempts >= MAX_ATTEMPTS {
        return Next::Dead;
    }
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(0)
        .min(20);
    let pause = (FIRST_PAUSE_SECS << doublings).min(LONGEST_PAUSE_SECS);
    // 80 % to 120 %.
    let spread = pause * 1000 * (800 + i64::from(random) * 400 / 255) / 1000;
    Next::Retry(now + TimeDelta::milliseconds(spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn pause(attempts: i32, random: u8) -> i64 {
        match after_failure(Failure::Server, attempts, NOON, random) {
            Next::Retry(at) => (at - NOON).num_seconds(),
            Next::Dead => panic!("dead after {attempts}"),
        }
    }

    #[test]
    fn pauses_double_and_are_capped() {
        let least: Vec<_> = (1..=9).map(|attempts| pause(attempts, 0)).collect();
        assert_eq!(least, [12, 24, 48, 96, 192, 384, 768, 1536, 2880]);
    }

    #[test]
    fn jitter_is_a_fifth_to_both_sides() {
        assert_eq!((pause(1, 0), pause(1, 255)), (12, 18));
        assert_eq!((pause(9, 0), pause(9, 255)), (2880, 4320));
    }

    #[test]
    fn the_tenth_failure_is_the_last() {
        assert_eq!(after_failure(Failure::Server, 10, NOON, 0), Next::Dead);
        assert_eq!(
            after_failure(Failure::Server, i32::MAX, NOON, 0),
            Next::Dead
        );
    }

    #[test]
    fn an_invalid_address_is_given_up_at_once() {
        assert_eq!(after_failure(Failure::Address, 1, NOON, 0), Next::Dead);
    }

    proptest::proptest! {
        #[test]
        fn no_retry_is_in_the_past_or_far_away(attempts: i32, random: u8) {
            if let Next::Retry(at) = after_failure(Failure::Server, attempts, NOON, random) {
                let pause = (at - NOON).num_seconds();
                proptest::prop_assert!((12..=4320).contains(&pause), "{}", pause);
            }
        }
    }
}
