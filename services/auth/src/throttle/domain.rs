//! How long a login or a registration waits after others.
//!
//! ## What is counted
//! Each counter has a level that an attempt raises by one and that sinks by itself, by its limit within the
//! window. A login that would raise a level above its limit waits until there is room.
//!
//! | counter | counts failed logins | does not apply to |
//! |---|---|---|
//! | pair | of one client on one account | a device with a token of an earlier login |
//! | account | of all clients on one account | the same, and clients from which the owner has logged in |
//! | client | of one client on all accounts | the same |
//! | device | of a device with a token of an earlier login | |
//!
//! So nobody locks an owner out: an attack raises the counters of others. A login that succeeds forgets the
//! failures of its pair, and lowers the counter of its client by one.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

/// So many within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many at once; as many more within each window.
    pub count: u32,
    /// The window in seconds.
    pub window_secs: u32,
}

/// Guesses of one client on one account, and of a device on its account.
pub const PAIR: Limit = Limit {
    count: 5,
    window_secs: 900,
};
/// Seconds for which a client is known to an account after a login.
pub const KNOWN_SECS: u32 = 30 * 24 * 3600;

/// A level, and when it was that high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// How many attempts are left of it.
    pub level: f64,
    /// Since when it sinks.
    pub at: DateTime<Utc>,
}

impl Limit {
    /// Seconds in which a level sinks by one.
    pub fn secs_each(self) -> f64 {
        f64::from(self.window_secs) / f64::from(self.count.max(1))
    }

    /// What is left of a level. A clock that steps back does not raise it.
    fn left(self, level: Level, now: DateTime<Utc>) -> f64 {
        let elapsed = (now - level.at).as_seconds_f64().max(0.0);
        (level.level - elapsed / self.secs_each()).max(0.0)
    }

    /// The remaining wait; zero if there is room for an attempt now.
    pub fn wait(self, level: Option<Level>, now: DateTime<Utc>) -> Duration {
        let Some(level) = level else {
            return Duration::ZERO;
        };
        let above = self.left(level, now) + 1.0 - f64::from(self.count.max(1));
        // What is less than a millisecond is the rounding of what was stored.
        let secs = (above * self.secs_each()).min(f64::from(self.window_secs));
        if secs < 0.001 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(secs).unwrap_or(Duration::ZERO)
    }
}

/// What stands for an address in the name of a counter, so that the table does not hold the address.
pub fn digest_of(email_key: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, email_key.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// The network of a client, as the throttle names it: one IPv4 address, or what a household has of IPv6.
pub fn network_of(ip: IpAddr) -> String {
    match chassis::client_network(ip) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

/// The wider network around a client: whoever has several addresses has them near to each other.
pub fn neighbourhood_of(ip: IpAddr) -> String {
    match chassis::client_network(ip) {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(network) => {
            let [a, b, c, ..] = network.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOON: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    /// One each minute.
    const TEN: Limit = Limit {
        count: 10,
        window_secs: 600,
    };

    fn secs(level: f64, after: i64) -> u64 {
        let level = Level { level, at: NOON };
        TEN.wait(Some(level), NOON + TimeDelta::seconds(after))
            .as_secs()
    }

    #[test]
    fn there_is_no_wait_below_the_limit_and_one_share_of_the_window_at_it() {
        assert_eq!(TEN.wait(None, NOON), Duration::ZERO);
        assert_eq!(
            [0.0, 5.0, 9.0, 10.0].map(|level| secs(level, 0)),
            [0, 0, 0, 60]
        );
    }

    #[test]
    fn a_level_sinks_by_itself() {
        assert_eq!(
            [0, 30, 59, 60].map(|after| secs(10.0, after)),
            [60, 30, 1, 0]
        );
    }

    #[test]
    fn no_level_waits_longer_than_the_window() {
        assert_eq!(secs(1e9, 0), 600);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lengthen_the_wait() {
        assert_eq!(secs(10.0, -5 * 3600), 60);
    }

    #[test]
    fn one_customer_is_one_network_and_has_neighbours() {
        let of = |ip: &str| network_of(ip.parse().unwrap());
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        let near = |ip: &str| neighbourhood_of(ip.parse().unwrap());
        assert_eq!(near("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(near("203.0.113.9"), near("203.0.113.200"));
        assert_eq!(near("2001:db8:1:2::1"), near("2001:db8:1:3::1"));
        assert_ne!(near("2001:db8:1::1"), near("2001:db8:2::1"));
    }
}
