//! How long a guesser waits.
//!
//! ## Why three tallies and a memory of known networks
//! Failed logins are counted per account and network together, per account alone, and per network
//! alone. The first grows to a quarter of an hour, and only hurts the network it was earned from.
//! The second is what stops a guesser with a thousand networks; it never makes anybody wait for
//! more than a minute, and not at all on a network the owner has logged in from before. So nobody
//! can lock an owner out. The third stops one network that tries one password on many accounts.
//! Every tally forgets itself after a while without failures.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How a tally turns into a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many failures cost nothing: people mistype.
    pub free: u32,
    /// The longest wait, in seconds; each failure doubles it from one second on.
    pub cap_secs: u32,
    /// A tally is forgotten so many seconds after the last failure.
    pub forget_secs: u32,
}

/// Failures of one network on one account.
pub const PAIR: Policy = Policy {
    free: 5,
    cap_secs: 900,
    forget_secs: 3600,
};
/// Failures of everybody on one account.
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
/// A network stays known to an account for so long after a login.
pub const KNOWN_SECS: u32 = 30 * 24 * 3600;

/// What has gone wrong so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub last: DateTime<Utc>,
}

impl Policy {
    /// The wait that a tally still asks for; zero when an attempt may be made now.
    pub fn wait(&self, tally: Option<Tally>, now: DateTime<Utc>) -> Duration {
        let Some(tally) = tally else {
            return Duration::ZERO;
        };
        let Some(doublings) = tally.failures.checked_sub(self.free + 1) else {
            return Duration::ZERO;
        };
        let secs = 1_u32
            .checked_shl(doublings.min(31))
            .unwrap_or(u32::MAX)
            .min(self.cap_secs);
        let until = tally.last + TimeDelta::seconds(i64::from(secs));
        (until - now)
            .to_std()
            .unwrap_or(Duration::ZERO)
            .min(Duration::from_secs(secs.into()))
    }
}

/// All that is remembered about an attempt's account and network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallies {
    /// This network on this account.
    pub pair: Option<Tally>,
    /// Everybody on this account.
    pub account: Option<Tally>,
    /// This network on all accounts.
    pub network: Option<Tally>,
    /// True when the owner has logged in from this network lately.
    pub known: bool,
}

impl Tallies {
    /// How long this attempt has to wait; zero when it may be made now.
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        let account = if self.known { None } else { self.account };
        PAIR.wait(self.pair, now)
            .max(ACCOUNT.wait(account, now))
            .max(NETWORK.wait(self.network, now))
    }
}

/// The network an address belongs to: an IPv4 address is one; of IPv6 the first 64 bits are, since
/// every customer is given that many.
pub fn network_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn tally(failures: u32) -> Tally {
        Tally {
            failures,
            last: NOON,
        }
    }

    fn secs(policy: Policy, failures: u32) -> u64 {
        policy.wait(Some(tally(failures)), NOON).as_secs()
    }

    #[test]
    fn mistyping_is_free_and_guessing_doubles_the_wait() {
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
        assert_eq!(PAIR.wait(Some(tally(8)), later).as_secs(), 1);
        assert_eq!(
            PAIR.wait(Some(tally(8)), NOON + TimeDelta::seconds(4)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_clock_that_steps_back_makes_nobody_wait_longer_than_the_rule_says() {
        let earlier = NOON - TimeDelta::hours(5);
        assert_eq!(PAIR.wait(Some(tally(8)), earlier).as_secs(), 4);
    }

    #[test]
    fn a_siege_of_an_account_does_not_touch_a_network_its_owner_has_used() {
        let siege = Tallies {
            account: Some(tally(10_000)),
            ..Tallies::default()
        };
        assert_eq!(siege.wait(NOON).as_secs(), 60);
        let owner = Tallies {
            known: true,
            ..siege
        };
        assert_eq!(owner.wait(NOON), Duration::ZERO);
    }

    #[test]
    fn a_known_network_still_waits_for_its_own_failures() {
        let tallies = Tallies {
            pair: Some(tally(7)),
            known: true,
            ..Tallies::default()
        };
        assert_eq!(tallies.wait(NOON).as_secs(), 2);
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
