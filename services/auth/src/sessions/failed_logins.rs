//! Counters of failed logins, in Redis, so that all replicas share them.
//!
//! ## Why logins work without Redis
//! An outage of the cache must not close the shop. Without it logins are not throttled here (the gateway's
//! rate limit still applies), one line is logged per outage, and a metric counts the attempts that were
//! not throttled.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache::{Cache, Error, Expiration, KeysInterface, LuaInterface, OutagePolicy};
use chrono::{DateTime, Utc};

use super::domain::throttle::{self, Counter, Counters};
use crate::metrics::Metrics;

/// A single error is tolerated; after two in a row logins stop waiting for the timeout.
const OUTAGE_POLICY: OutagePolicy = OutagePolicy {
    degraded: "the throttling of logins",
    timeout: Duration::from_millis(500),
    max_failures: 2,
    pause: Duration::from_secs(1),
};

/// Counts one failure in every key. The value `failures:millis` holds both in one key.
const COUNT: &str = "
for i, key in ipairs(KEYS) do
    local before = tonumber(string.match(redis.call('GET', key) or '', '^(%d+):')) or 0
    local value = string.format('%d:%s', math.min(before + 1, 1000000), ARGV[1])
    redis.call('SET', key, value, 'EX', ARGV[i + 1])
end";

/// The account and the network that an attempt is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    account: String,
    network: String,
}

impl Attempt {
    /// An attempt with an address from a network. Only a digest of the address leaves the process.
    pub fn new(email_key: &str, network: String) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, email_key.as_bytes());
        Self {
            account: URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]),
            network,
        }
    }

    fn pair(&self) -> String {
        format!("auth:login:pair:{}:{}", self.account, self.network)
    }

    fn account(&self) -> String {
        format!("auth:login:account:{}", self.account)
    }

    fn network(&self) -> String {
        format!("auth:login:network:{}", self.network)
    }

    fn known(&self) -> String {
        format!("auth:login:known:{}:{}", self.account, self.network)
    }
}

/// The counters. Clones share the connection.
#[derive(Clone)]
pub struct FailedLogins {
    cache: Cache,
    metrics: Metrics,
}

impl FailedLogins {
    /// Connects in the background and reconnects without limit; see [`Cache::connect`] for the authorities.
    pub fn connect(uri: &str, authorities: Option<&str>, metrics: Metrics) -> Result<Self, Error> {
        let cache = Cache::connect(uri, authorities, OUTAGE_POLICY)?;
        Ok(Self { cache, metrics })
    }

    /// The counters of an attempt; zero if Redis does not answer.
    pub async fn read(&self, attempt: &Attempt) -> Counters {
        let keys = [
            attempt.pair(),
            attempt.account(),
            attempt.network(),
            attempt.known(),
        ];
        let values = self
            .cache
            .run(|redis| async move { redis.mget::<Vec<Option<String>>, _>(keys.to_vec()).await });
        let Some(values) = values.await else {
            self.metrics.throttle_blind.inc();
            return Counters::default();
        };
        let counter = |index: usize| parse(values.get(index)?.as_deref()?);
        Counters {
            pair: counter(0),
            account: counter(1),
            network: counter(2),
            known: values.get(3).is_some_and(Option::is_some),
        }
    }

    /// Counts a failure.
    pub async fn count(&self, attempt: &Attempt, now: DateTime<Utc>) {
        let keys = vec![attempt.pair(), attempt.account(), attempt.network()];
        let forget = [&throttle::PAIR, &throttle::ACCOUNT, &throttle::NETWORK];
        let mut args = vec![now.timestamp_millis()];
        args.extend(forget.map(|policy| i64::from(policy.forget_secs)));
        let count = self
            .cache
            .run(|redis| async move { redis.eval::<(), _, _, _>(COUNT, keys, args).await });
        count.await;
    }

    /// After a login: resets the failures of this network on this account, and records the network as known.
    pub async fn reset(&self, attempt: &Attempt) {
        let known = Some(Expiration::EX(throttle::KNOWN_SECS.into()));
        let (pair, network) = (attempt.pair(), attempt.known());
        let forget = self
            .cache
            .run(|redis| async move { redis.del::<(), _>(pair).await });
        forget.await;
        let remember = self.cache.run(|redis| async move {
            redis
                .set::<(), _, _>(network, "1", known, None, false)
                .await
        });
        remember.await;
    }
}

fn parse(value: &str) -> Option<Counter> {
    let (failures, last) = value.split_once(':')?;
    Some(Counter {
        failures: failures.parse().ok()?,
        last: DateTime::from_timestamp_millis(last.parse().ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_value_counts_as_no_failures() {
        let counter = parse("7:1800000000123").unwrap();
        assert_eq!(counter.failures, 7);
        assert_eq!(counter.last.timestamp_millis(), 1_800_000_000_123);
        for malformed in ["", "7", "x:1", "1:y", "-1:5", "1:99999999999999999999"] {
            assert_eq!(parse(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn keys_do_not_contain_the_address() {
        let attempt = Attempt::new("ann@example.com", "203.0.113.9".to_owned());
        for key in [
            attempt.pair(),
            attempt.account(),
            attempt.network(),
            attempt.known(),
        ] {
            assert!(!key.contains("ann") && !key.contains("example"), "{key}");
        }
    }
}
