//! Product cards, remembered in Redis for a while.
//!
//! A card is what `GET /v1/products/{id}` answers. It is dropped when its product is written, and
//! forgotten after half a minute in any case: its `available` may be that old. Nothing is decided on
//! a card; reservations ask the stock itself. Without Redis every read goes to the database.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{Config, Options, ReconnectPolicy};
use fred::types::{Builder, Expiration};
use vocabulary::ProductId;

use crate::metrics::Metrics;

/// How old a card may be, in seconds.
const TTL_SECS: i64 = 30;
/// An answer of Redis that takes longer counts as none.
const ANSWER: Duration = Duration::from_millis(100);
/// After an error Redis is left alone for so long, so that reads do not queue for its timeout.
const PAUSE: Duration = Duration::from_secs(2);
/// Most cards dropped by one command; an import of more lets the rest run out by themselves.
const MAX_DROPPED: usize = 1_000;

/// The cards. Clones share the connection.
#[derive(Clone)]
pub struct Cards {
    client: Client,
    failed_at: Arc<Mutex<Option<Instant>>>,
    metrics: Metrics,
}

impl Cards {
    /// Connects in the background, and again for ever.
    pub fn connect(uri: &str, metrics: Metrics) -> Result<Self, fred::error::Error> {
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
            failed_at: Arc::default(),
            metrics,
        })
    }

    /// The card, as it was put.
    pub async fn get(&self, id: ProductId) -> Option<String> {
        let card = match self.redis() {
            Some(redis) => self.heard(redis.get::<Option<String>, _>(key(id)).await),
            None => None,
        };
        let outcome = match &card {
            Some(Some(_)) => "hit",
            Some(None) => "miss",
            None => "blind",
        };
        self.metrics.card(outcome);
        card.flatten()
    }

    /// Remembers a card.
    pub async fn put(&self, id: ProductId, card: &str) {
        let expiry = Some(Expiration::EX(TTL_SECS));
        if let Some(redis) = self.redis() {
            self.heard(
                redis
                    .set::<(), _, _>(key(id), card, expiry, None, false)
                    .await,
            );
        }
    }

    /// Forgets cards whose products were written.
    pub async fn drop_all(&self, ids: &[ProductId]) {
        let keys: Vec<String> = ids.iter().take(MAX_DROPPED).map(|id| key(*id)).collect();
        if keys.is_empty() {
            return;
        }
        if let Some(redis) = self.redis() {
            self.heard(redis.del::<(), _>(keys).await);
        }
    }

    /// Redis, unless it failed a moment ago.
    fn redis(&self) -> Option<WithOptions<Client>> {
        let failed_at = *self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
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

    /// Remembers whether Redis answers, and logs when that changes.
    fn heard<T>(&self, answer: Result<T, fred::error::Error>) -> Option<T> {
        let mut failed_at = self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(value) => {
                if failed_at.take().is_some() {
                    tracing::info!("cards are remembered again: Redis is back");
                }
                Some(value)
            }
            Err(error) => {
                if failed_at.replace(Instant::now()).is_none() {
                    tracing::warn!(%error, "cards are not remembered: Redis does not answer");
                }
                None
            }
        }
    }
}

fn key(id: ProductId) -> String {
    format!("product:card:{}", id.as_uuid())
}
