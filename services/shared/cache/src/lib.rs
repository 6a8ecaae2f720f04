#![doc = include_str!("../README.md")]

mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::{Client, WithOptions};
use fred::error::ErrorKind;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::Builder;
use fred::types::config::{Config, Options, ReconnectPolicy};

pub use fred::error::Error;
pub use fred::interfaces::{KeysInterface, LuaInterface};
pub use fred::types::Expiration;

/// The client as commands get it: it fails fast.
pub type Redis = WithOptions<Client>;

/// What counts as an outage of Redis, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct OutagePolicy {
    /// The feature that does without Redis during an outage, for the log.
    pub degraded: &'static str,
    /// Time limit of one command.
    pub timeout: Duration,
    /// Failures in a row after which Redis is bypassed.
    pub max_failures: u32,
    /// How long it is bypassed before the next command is tried.
    pub pause: Duration,
}

/// Failures in a row, and when the last one was.
#[derive(Debug)]
struct Outage {
    failures: u32,
    last: Instant,
}

/// A Redis. Clones share the connection and its health.
#[derive(Clone)]
pub struct Cache {
    client: Client,
    policy: OutagePolicy,
    outage: Arc<Mutex<Option<Outage>>>,
    /// The last error of the connection was a refusal of the login.
    refused: Arc<AtomicBool>,
    /// Tells what one check wrote from what the check before wrote.
    started: Instant,
}

impl Cache {
    /// Connects in the background, with retries for ever. `rediss://` is TLS; the server's certificate has to be
    /// issued by one of `authorities` (PEM) where there are some, else by a public one. Fails where `uri` or
    /// `authorities` are malformed.
    pub fn connect(
        uri: &str,
        authorities: Option<&str>,
        policy: OutagePolicy,
    ) -> Result<Self, Error> {
        let mut config = match uri.strip_prefix("rediss://") {
            Some(rest) => Config {
                tls: Some(tls::trusting(authorities)?.into()),
                // Parsed as the plain scheme: for `rediss` the client would load the system's authorities, of which
                // the images have none.
                ..Config::from_url(&format!("redis://{rest}"))?
            },
            None => Config::from_url(uri)?,
        };
        config.fail_fast = false;
        let mut builder = Builder::from_config(config);
        builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 2_000, 2));
        builder.with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(1);
            connection.internal_command_timeout = Duration::from_secs(1);
            connection.max_command_buffer_len = 1024;
        });
        let client = builder.build()?;
        let refused = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&refused);
        // This task ends with the client too.
        drop(client.on_error(move |(error, _)| {
            told.store(*error.kind() == ErrorKind::Auth, Ordering::Relaxed);
            std::future::ready(Ok(()))
        }));
        // The task ends with the client; its errors come back as errors of commands.
        drop(client.connect());
        Ok(Self {
            client,
            policy,
            outage: Arc::default(),
            refused,
            started: Instant::now(),
        })
    }

    /// The result of one command; `None` where Redis is bypassed, fails, or does not respond in time.
    pub async fn run<T, F>(&self, command: impl FnOnce(Redis) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        if self.is_bypassed() {
            return None;
        }
        let options = Options {
            timeout: Some(self.policy.timeout),
            fail_fast: true,
            max_attempts: Some(1),
            ..Options::default()
        };
        let result = command(self.client.with_options(&options));
        // The client's own timeout does not cover a script while there is no connection.
        let result = tokio::time::timeout(self.policy.timeout, result).await;
        let result = result
            .unwrap_or_else(|elapsed| Err(Error::new(ErrorKind::Timeout, elapsed.to_string())));
        self.record(result)
    }

    /// Writes `key` and reads it back; else why Redis is not in use.
    pub async fn check(&self, key: &'static str) -> Result<(), String> {
        let value = self.started.elapsed().as_nanos().to_string();
        let written = value.clone();
        let found = self.run(|redis| async move {
            let expiry = Some(Expiration::EX(60));
            redis
                .set::<(), _, _>(key, written, expiry, None, false)
                .await?;
            redis.get::<Option<String>, _>(key).await
        });
        match found.await {
            Some(found) if found.as_ref() != Some(&value) => {
                Err("Redis does not keep what is written".to_owned())
            }
            Some(_) => Ok(()),
            None => self
                .health()
                .and(Err("Redis takes no write, or gives no answer".to_owned())),
        }
    }

    /// Whether Redis is in use; else why not. Asks nobody.
    pub fn health(&self) -> Result<(), String> {
        if !self.client.is_connected() {
            let is_refused = self.refused.load(Ordering::Relaxed);
            let why = if is_refused {
                "Redis refuses this service's credentials"
            } else {
                "there is no connection to Redis"
            };
            return Err(why.to_owned());
        }
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match outage.as_ref() {
            Some(outage) if outage.failures >= self.policy.max_failures => {
                Err("Redis fails or does not answer in time".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Counts failures in a row, and logs the begin and the end of an outage.
    fn record<T>(&self, result: Result<T, Error>) -> Option<T> {
        let (limit, degraded) = (self.policy.max_failures, self.policy.degraded);
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(value) => {
                if outage.take().is_some_and(|outage| outage.failures >= limit) {
                    tracing::info!(degraded, "Redis responds again");
                }
                Some(value)
            }
            Err(error) => {
                let failures = outage.as_ref().map_or(0, |outage| outage.failures) + 1;
                *outage = Some(Outage {
                    failures,
                    last: Instant::now(),
                });
                if failures == limit {
                    tracing::warn!(degraded, %error, "Redis does not respond; bypassing it");
                }
                None
            }
        }
    }

    fn is_bypassed(&self) -> bool {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.as_ref().is_some_and(|o| {
            o.failures >= self.policy.max_failures && o.last.elapsed() < self.policy.pause
        })
    }
}
