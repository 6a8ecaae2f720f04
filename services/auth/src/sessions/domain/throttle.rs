//! How long a login waits after failed ones.
//!
//! ## Why three counters and known networks
//! Failed logins are counted per account and network, per account, and per network. The first wait grows to
//! a quarter of an hour and affects only the network that caused it. The second stops guessing from many
//! networks; it is a minute at most and does not apply to networks from which the owner has logged in
//! before, so nobody can lock an owner out. The third stops one network that tries one password on many
//! accounts. Each counter expires after a time without failures.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How a counter turns into a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failures without a wait: people mistype.
    pub free: u32,
    /// The longest wait in seconds; each failure doubles it, from one second.
    pub cap_secs: u32,
    /// Seconds after the last failure until the counter expires.
    pub forget_secs: u32,
}

/// Failures of one network on one account.
pub const PAIR: Policy = Policy {
    free: 5,
    cap_secs: 900,
    forget_secs: 3600,
};
/// Failures of all networks on one account.
pub const ACCOUNT: Policy = Policy {
    free: 20,
    cap_secs: 60,
    forget_secs: 3600,
};
/// Failures of one network on all accounts.
pub const NETWORK: Policy = Policy {
    free: 30,
    cap_secs: 900,
    forget_secs: 3600,
};
/// Time for which a network is known to an account after a login.
pub const KNOWN_SECS: u32 = 30 * 24 * 3600;

/// Failed logins in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Number of failures.
    pub failures: u32,
    /// Instant of the last failure.
    pub last: DateTime<Utc>,
}

impl Policy {
    /// The remaining wait; zero if a login may be tried now.
    pub fn wait(&self, counter: Option<Counter>, now: DateTime<Utc>) -> Duration {
        let Some(counter) = counter else {
            return Duration::ZERO;
        };
        let Some(doublings) = counter.failures.checked_sub(self.free + 1) else {
            return Duration::ZERO;
        };
        let secs = 1_u32
            .checked_shl(doublings.min(31))
            .unwrap_or(u32::MAX)
            .min(self.cap_secs);
        let until = counter.last + TimeDelta::seconds(i64::from(secs));
        (until - now)
            .to_std()
            .unwrap_or(Duration::ZERO)
            .min(Duration::from_secs(secs.into()))
    }
}

/// The counters of an account and a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// This network on this account.
    pub pair: Option<Counter>,
    /// All networks on this account.
    pub account: Option<Counter>,
    /// This network on all accounts.
    pub network: Option<Counter>,
    /// True if the owner has logged in from this network recently.
    pub known: bool,
}

impl Counters {
    /// The remaining wait; zero if a login may be tried now.
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        let account = if self.known { None } else { self.account };
        PAIR.wait(self.pair, now)
            .max(ACCOUNT.wait(account, now))
            .max(NETWORK.wait(self.network, now))
    }
}

/// The network of a client, as the throttle names it.
pub fn network_of(ip: IpAddr) -> String {
    match chassis::client_network(ip) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn counter(failures: u32) -> Counter {
        Counter {
            failures,
            last: NOON,
        }
    }

    fn secs(policy: Policy, failures: u32) -> u64 {
        policy.wait(Some(counter(failures)), NOON).as_secs()
    }

    #[test]
    fn the_first_failures_are_free_and_further_ones_double_the_wait() {
        let waits: Vec<_> = [0, 1, 5, 6, 7, 8, 9].map(|n| secs(PAIR, n)).into();
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8]);
    }

    #[test]
    fn no_number_of_failures_exceeds_the_cap() {
        for failures in [16, 17, 18, 40, 1000, u32::MAX] {
            assert_eq!(secs(PAIR, failures), 900, "{failures}");
        }
        assert_eq!(secs(ACCOUNT, u32::MAX), 60);
    }

    #[test]
    fn a_wait_passes() {
        let later = NOON + TimeDelta::seconds(3);
        assert_eq!(PAIR.wait(Some(counter(8)), later).as_secs(), 1);
        assert_eq!(
            PAIR.wait(Some(counter(8)), NOON + TimeDelta::seconds(4)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lengthen_the_wait() {
        let earlier = NOON - TimeDelta::hours(5);
        assert_eq!(PAIR.wait(Some(counter(8)), earlier).as_secs(), 4);
    }

    #[test]
    fn an_attack_on_an_account_does_not_affect_a_known_network() {
        let attack = Counters {
            account: Some(counter(10_000)),
            ..Counters::default()
        };
        assert_eq!(attack.wait(NOON).as_secs(), 60);
        let owner = Counters {
            known: true,
            ..attack
        };
        assert_eq!(owner.wait(NOON), Duration::ZERO);
    }

    #[test]
    fn a_known_network_still_waits_for_its_own_failures() {
        let counters = Counters {
            pair: Some(counter(7)),
            known: true,
            ..Counters::default()
        };
        assert_eq!(counters.wait(NOON).as_secs(), 2);
    }

    #[test]
    fn one_customer_is_one_network() {
        let of = |ip: &str| network_of(ip.parse().unwrap());
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
