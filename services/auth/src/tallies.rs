//! Failed logins, counted in Redis, so that all replicas count together.
//!
//! ## Why a missing Redis lets everybody in
//! A cache that is away must not close the shop. Logins then go on unthrottled by us (the gateway's
//! rate limit still holds), one line is logged per outage, and a counter says how many attempts
//! were not judged.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache::{Cache, Error, Expiration, KeysInterface, LuaInterface, Manners};
use chrono::{DateTime, Utc};

use crate::domain::throttle::{self, Tallies, Tally};
use crate::metrics::Metrics;

/// One error may be a hiccup; two are an outage, in which logins do not queue for the timeout.
const MANNERS: Manners = Manners {
    lost: "the throttling of logins",
    answer: Duration::from_millis(500),
    strikes: 2,
    pause: Duration::from_secs(1),
};

/// Counts one failure in every key; value `failures:millis`, so that one GET tells both.
const COUNT: &str = "
for i, key in ipairs(KEYS) do
    local before = tonumber(string.match(redis.call('GET', key) or '', '^(%d+):')) or 0
    local value = string.format('%d:%s', math.min(before + 1, 1000000), ARGV[1])
    redis.call('SET', key, value, 'EX', ARGV[i + 1])
end";

/// Whom an attempt is counted against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    account: String,
    network: String,
}

impl Subject {
    /// An attempt on an address from a network. The address itself never leaves the process.
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

/// The tallies of all logins. Clones share the connection.
#[derive(Clone)]
pub struct LoginTallies {
    cache: Cache,
    metrics: Metrics,
}

impl LoginTallies {
    /// Connects in the background, and again for ever; see [`Cache::connect`] for the authorities.
    pub fn connect(uri: &str, authorities: Option<&str>, metrics: Metrics) -> Result<Self, Error> {
        let cache = Cache::connect(uri, authorities, MANNERS)?;
        Ok(Self { cache, metrics })
    }

    /// What is remembered; nothing when Redis does not answer.
    pub async fn read(&self, subject: &Subject) -> Tallies {
        let keys = [
            subject.pair(),
            subject.account(),
            subject.network(),
            subject.known(),
        ];
        let values = self
            .cache
            .ask(|redis| async move { redis.mget::<Vec<Option<String>>, _>(keys.to_vec()).await });
        let Some(values) = values.await else {
            self.metrics.throttle_blind.inc();
            return Tallies::default();
        };
        let tally = |index: usize| parse(values.get(index)?.as_deref()?);
        Tallies {
            pair: tally(0),
            account: tally(1),
            network: tally(2),
            known: values.get(3).is_some_and(Option::is_some),
        }
    }

    /// Counts a failure.
    pub async fn count_failure(&self, subject: &Subject, now: DateTime<Utc>) {
        let keys = vec![subject.pair(), subject.account(), subject.network()];
        let forget = [&throttle::PAIR, &throttle::ACCOUNT, &throttle::NETWORK];
        let mut args = vec![now.timestamp_millis()];
        args.extend(forget.map(|policy| i64::from(policy.forget_secs)));
        let count = self
            .cache
            .ask(|redis| async move { redis.eval::<(), _, _, _>(COUNT, keys, args).await });
        count.await;
    }

    /// Forgets this network's failures on this account, and remembers the network.
    pub async fn welcome(&self, subject: &Subject) {
        let known = Some(Expiration::EX(throttle::KNOWN_SECS.into()));
        let (pair, network) = (subject.pair(), subject.known());
        let forget = self
            .cache
            .ask(|redis| async move { redis.del::<(), _>(pair).await });
        forget.await;
        let remember = self.cache.ask(|redis| async move {
            redis
                .set::<(), _, _>(network, "1", known, None, false)
                .await
        });
        remember.await;
    }
}

fn parse(value: &str) -> Option<Tally> {
    let (failures, last) = value.split_once(':')?;
    Some(Tally {
        failures: failures.parse().ok()?,
        last: DateTime::from_timestamp_millis(last.parse().ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_and_rubbish_is_no_tally() {
        let tally = parse("7:1800000000123").unwrap();
        assert_eq!(tally.failures, 7);
        assert_eq!(tally.last.timestamp_millis(), 1_800_000_000_123);
        for rubbish in ["", "7", "x:1", "1:y", "-1:5", "1:99999999999999999999"] {
            assert_eq!(parse(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn keys_do_not_hold_the_address() {
        let subject = Subject::new("ann@example.com", "203.0.113.9".to_owned());
        for key in [
            subject.pair(),
            subject.account(),
            subject.network(),
            subject.known(),
        ] {
            assert!(!key.contains("ann") && !key.contains("example"), "{key}");
        }
    }
}
