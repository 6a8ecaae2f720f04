#![doc = include_str!("../README.md")]

mod tls;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::{Client, WithOptions};
use fred::error::ErrorKind;
use fred::interfaces::ClientLike;
use fred::types::Builder;
use fred::types::config::{Config, Options, ReconnectPolicy};

pub use fred::error::Error;
pub use fred::interfaces::{KeysInterface, LuaInterface};
pub use fred::types::Expiration;

/// What a command is given to: the client, told to fail fast.
pub type Redis = WithOptions<Client>;

/// How Redis is treated.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// What a shop does without while Redis is away, for the log.
    pub lost: &'static str,
    /// An answer that takes longer counts as none.
    pub answer: Duration,
    /// After so many failures in a row ...
    pub strikes: u32,
    /// ... Redis is left alone for so long.
    pub pause: Duration,
}

/// Failures in a row, and the last of them.
#[derive(Debug)]
struct Outage {
    strikes: u32,
    last: Instant,
}

/// A Redis. Clones share the connection, and what is known of its health.
#[derive(Clone)]
pub struct Cache {
    client: Client,
    manners: Manners,
    outage: Arc<Mutex<Option<Outage>>>,
}

impl Cache {
    /// Connects in the background, and again for ever. `rediss://` is TLS, with a server that the public
    /// authorities know, or only those in `authorities` (PEM) where there are some. An error is a `uri`
    /// that is none, or authorities that cannot be read.
    pub fn connect(uri: &str, authorities: Option<&str>, manners: Manners) -> Result<Self, Error> {
        let mut config = match uri.strip_prefix("rediss://") {
            Some(rest) => Config {
                tls: Some(tls::trusting(authorities)?.into()),
                // Read as the plain scheme is: the client would look for the system's authorities, and
                // an image of ours has none.
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
        // The task ends with the client; what it has to say comes back as errors of commands.
        drop(client.connect());
        Ok(Self {
            client,
            manners,
            outage: Arc::default(),
        })
    }

    /// The answer to one command; `None` when Redis is left alone or does not answer in time.
    pub async fn ask<T, F>(&self, command: impl FnOnce(Redis) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        if self.is_left_alone() {
            return None;
        }
        let options = Options {
            timeout: Some(self.manners.answer),
            fail_fast: true,
            max_attempts: Some(1),
            ..Options::default()
        };
        let answer = command(self.client.with_options(&options));
        // The client's own timeout does not cover a script while there is no connection.
        let answer = tokio::time::timeout(self.manners.answer, answer).await;
        let answer = answer
            .unwrap_or_else(|elapsed| Err(Error::new(ErrorKind::Timeout, elapsed.to_string())));
        self.note(answer)
    }

    /// Remembers whether there was an answer, and logs when that changes.
    fn note<T>(&self, answer: Result<T, Error>) -> Option<T> {
        let (limit, lost) = (self.manners.strikes, self.manners.lost);
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(value) => {
                if outage.take().is_some_and(|outage| outage.strikes >= limit) {
                    tracing::info!(lost, "Redis is back");
                }
                Some(value)
            }
            Err(error) => {
                let strikes = outage.as_ref().map_or(0, |outage| outage.strikes) + 1;
                *outage = Some(Outage {
                    strikes,
                    last: Instant::now(),
                });
                if strikes == limit {
                    tracing::warn!(lost, %error, "Redis does not answer");
                }
                None
            }
        }
    }

    fn is_left_alone(&self) -> bool {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.as_ref().is_some_and(|o| {
            o.strikes >= self.manners.strikes && o.last.elapsed() < self.manners.pause
        })
    }
}
