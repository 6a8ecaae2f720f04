//! Local rate limits: the generic cell rate algorithm (GCRA), one number for each limit and caller.
//!
//! Not crate `governor`: its keyed stores are bounded only by sweeps that remove idle keys, while a flood of
//! addresses must not grow the memory here; with a store of our own for that, what is left of it is the ten
//! lines of arithmetic below, without the exact time to a full quota that the `RateLimit` header states.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::Mutex;
use std::time::Instant;

use gateway_routes::Limit;
use http::HeaderValue;

use crate::metrics::lock;

const SHARDS: usize = 16;

/// The counts of all workers.
#[derive(Debug)]
pub struct Limiter {
    started: Instant,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    per_generation: usize,
}

/// Two generations of keys: when the young one is full it replaces the old one, and keys that were not seen
/// since are forgotten. So the memory is bounded without sweeps.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Key, u64>,
    old: HashMap<Key, u64>,
}

/// Hashes of the limit and of the caller: short whatever the caller is known by, and as good as distinct.
type Key = (u64, u64);

/// The result of counting a request at a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub is_allowed: bool,
    /// Requests that would pass now.
    pub remaining: u32,
    /// Seconds until the whole quota is available; where the request is refused, until the next one passes.
    pub reset_secs: u64,
}

impl Limiter {
    /// Remembers up to `keys` pairs of limit and caller.
    pub fn new(keys: usize) -> Self {
        Self {
            started: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_generation: (keys / SHARDS / 2).max(1),
        }
    }

    /// Counts a request of `who` at a limit.
    pub fn check(&self, limit: &Limit, who: impl Hash) -> Verdict {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.check_at(limit, who, now)
    }

    fn check_at(&self, limit: &Limit, who: impl Hash, now: u64) -> Verdict {
        let window = u64::from(limit.window_secs) * 1_000_000_000;
        let interval = window / u64::from(limit.requests.max(1));
        let key = (self.hasher.hash_one(&limit.id), self.hasher.hash_one(who));
        let shard = usize::try_from(key.1 % SHARDS as u64).unwrap_or(0);
        let mut shard = lock(&self.shards[shard]);
        // The theoretical arrival time of the next request at an even pace.
        let arrival = shard.get(&key).unwrap_or(0).max(now);
        let next = arrival + interval;
        if next - now > window {
            let wait = (next - now - window).div_ceil(1_000_000_000).max(1);
            return Verdict {
                is_allowed: false,
                remaining: 0,
                reset_secs: wait,
            };
        }
        shard.put(key, next, self.per_generation);
        let remaining = (window - (next - now)) / interval.max(1);
        Verdict {
            is_allowed: true,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset_secs: (next - now).div_ceil(1_000_000_000),
        }
    }
}

impl Shard {
    fn get(&self, key: &Key) -> Option<u64> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn put(&mut self, key: Key, arrival: u64, limit: usize) {
        if self.young.len() >= limit && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, arrival);
    }
}

/// The fields `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
pub fn header_values(limit: &Limit, verdict: Verdict) -> Option<(HeaderValue, HeaderValue)> {
    let name = &limit.name;
    let policy = format!("\"{name}\";q={};w={}", limit.requests, limit.window_secs);
    let state = format!(
        "\"{name}\";r={};t={}",
        verdict.remaining, verdict.reset_secs
    );
    Some((
        HeaderValue::try_from(policy).ok()?,
        HeaderValue::try_from(state).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limit(requests: u32, window_secs: u32) -> Limit {
        let id = "shop/policy#0".into();
        Limit {
            id,
            name: "policy-0".into(),
            path: None,
            method: None,
            requests,
            window_secs,
        }
    }

    #[test]
    fn the_quota_passes_at_once_and_comes_back_evenly() {
        let limiter = Limiter::new(1000);
        let limit = limit(10, 60);
        let client = IpAddr::from([192, 0, 2, 1]);
        let passed = (0..20)
            .filter(|_| limiter.check_at(&limit, client, SECOND).is_allowed)
            .count();
        assert_eq!(passed, 10);
        let refused = limiter.check_at(&limit, client, SECOND);
        assert_eq!(
            refused,
            Verdict {
                is_allowed: false,
                remaining: 0,
                reset_secs: 6
            }
        );
        assert!(limiter.check_at(&limit, client, 7 * SECOND).is_allowed);
        assert!(!limiter.check_at(&limit, client, 7 * SECOND).is_allowed);
        let rested = limiter.check_at(&limit, client, 120 * SECOND);
        assert_eq!((rested.is_allowed, rested.remaining), (true, 9));
    }

    #[test]
    fn ten_times_too_many_requests_get_the_quota_and_no_more() {
        let limiter = Limiter::new(1000);
        let limit = limit(60, 60);
        let client = IpAddr::from([192, 0, 2, 1]);
        // Ten requests a second for ten minutes: the first window's burst, then one a second.
        let passed = (0..6000)
            .filter(|n| limiter.check_at(&limit, client, n * SECOND / 10).is_allowed)
            .count();
        assert!((655..=660).contains(&passed), "{passed}");
    }

    #[test]
    fn clients_count_apart_and_one_ipv6_network_is_one_client() {
        let limiter = Limiter::new(1000);
        let limit = limit(1, 60);
        let check = |text: &str| {
            limiter
                .check_at(
                    &limit,
                    chassis::client_network(text.parse().expect("an address")),
                    SECOND,
                )
                .is_allowed
        };
        assert!(check("192.0.2.1"));
        assert!(check("192.0.2.2"));
        assert!(!check("::ffff:192.0.2.1"));
        assert!(check("2001:db8::1"));
        assert!(!check("2001:db8::2"));
        assert!(check("2001:db8:0:1::1"));
    }

    #[test]
    fn the_table_stays_bounded() {
        let limiter = Limiter::new(320);
        let limit = limit(1, 3600);
        let first = IpAddr::from([192, 0, 2, 1]);
        assert!(limiter.check_at(&limit, first, SECOND).is_allowed);
        for n in 0..100_000_u32 {
            limiter.check_at(
                &limit,
                IpAddr::from((n + 0x0a00_0000).to_be_bytes()),
                SECOND,
            );
        }
        let held: usize = limiter
            .shards
            .iter()
            .map(|shard| lock(shard))
            .map(|shard| shard.young.len() + shard.old.len())
            .sum();
        assert!(held <= 320, "{held}");
    }
}
