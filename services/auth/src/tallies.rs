//! Failed logins, counted in Redis, so that all replicas count together.
//!
//! ## Why a missing Redis lets everybody in
//! A cache that is away must not close the shop. Logins then go on unthrottled by us (the gateway's
//! rate limit still holds), one line is logged per outage, and a counter says how many attempts
//! were not judged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface, LuaInterface};
use fred::types::config::{Config, Options, ReconnectPolicy};
use fred::types::{Builder, Expiration};

use crate::domain::throttle::{self, Tallies, Tally};
use crate::metrics::Metrics;

/// An answer of Redis that takes longer counts as none.
const ANSWER: Duration = Duration::from_millis(500);
/// After so many errors in a row (one may be a hiccup) ...
const STRIKES: u32 = 2;
/// ... Redis is left alone for so long, so that logins do not queue for its timeout.
const PAUSE: Duration = Duration::from_secs(1);

/// Errors in a row, and the last of them.
struct Outage {
    strikes: u32,
    last: Instant,
}

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
    client: Client,
    outage: Arc<Mutex<Option<Outage>>>,
    metrics: Metrics,
}

impl LoginTallies {
    /// Connects in the background, and again for ever.
    pub fn connect(uri: &str, metrics: Metrics) -> Result<Self, Error> {
        let mut config = Config::from_url(uri)?;
        config.fail_fast = false;
        let mut builder = Builder::from_config(config);
        builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 2_000, 2));
        builder.with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(1);
            connection.internal_command_timeout = Duration::from_secs(1);
            connection.max_command_buffer_len = 1024;
        });
        let client = builder.build()?;
        // The task ends with the client; what it has to say comes back as errors of commands.
        drop(client.connect());
        Ok(Self {
            client,
            outage: Arc::default(),
            metrics,
        })
    }

    /// What is remembered; nothing when Redis does not answer.
    pub async fn read(&self, subject: &Subject) -> Tallies {
        let keys = [
            subject.pair(),
            subject.account(),
            subject.network(),
            subject.known(),
        ];
        let values: Option<Vec<Option<String>>> = match self.redis() {
            Some(redis) => self.hear(redis.mget(keys.to_vec())).await,
            None => None,
        };
        let Some(values) = values else {
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
        if let Some(redis) = self.redis() {
            self.hear(redis.eval::<(), _, _, _>(COUNT, keys, args))
                .await;
        }
    }

    /// Forgets this network's failures on this account, and remembers the network.
    pub async fn welcome(&self, subject: &Subject) {
        let known = Some(Expiration::EX(throttle::KNOWN_SECS.into()));
        let Some(redis) = self.redis() else {
            return;
        };
        self.hear(redis.del::<(), _>(subject.pair())).await;
        self.hear(redis.set::<(), _, _>(subject.known(), "1", known, None, false))
            .await;
    }

    /// Redis, unless it failed a moment ago.
    fn redis(&self) -> Option<WithOptions<Client>> {
        if self.is_paused() {
            return None;
        }
        let options = Options {
            timeout: Some(ANSWER),
            fail_fast: true,
            max_attempts: Some(1),
            ..Options::default()
        };
        Some(self.client.with_options(&options))
    }

    /// Waits for an answer, and remembers whether there was one; logs when that changes.
    async fn hear<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Option<T> {
        // The client's own timeout does not cover a script while there is no connection.
        let answer = tokio::time::timeout(ANSWER, answer).await;
        let answer = answer
            .unwrap_or_else(|elapsed| Err(Error::new(ErrorKind::Timeout, elapsed.to_string())));
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(value) => {
                if outage
                    .take()
                    .is_some_and(|outage| outage.strikes >= STRIKES)
                {
                    tracing::info!("logins are throttled again: Redis is back");
                }
                Some(value)
            }
            Err(error) => {
                let strikes = outage.as_ref().map_or(0, |outage| outage.strikes) + 1;
                let last = Instant::now();
                *outage = Some(Outage { strikes, last });
                if strikes == STRIKES {
                    tracing::warn!(%error, "logins are not throttled: Redis does not answer");
                }
                None
            }
        }
    }

    fn is_paused(&self) -> bool {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage
            .as_ref()
            .is_some_and(|o| o.strikes >= STRIKES && o.last.elapsed() < PAUSE)
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
