//! Product cards, cached in Redis.
//!
//! A card is what `GET /v1/products/{id}` answers. It is dropped when its product is written, and
//! forgotten after half a minute in any case: its `available` may be that old. Nothing is decided on
//! a card; reservations ask the stock itself. Without Redis every read goes to the database.

use std::time::Duration;

use cache::{Cache, Error, Expiration, KeysInterface, OutagePolicy};
use vocabulary::ProductId;

use crate::metrics::Metrics;

/// How old a card may be, in seconds.
const TTL_SECS: i64 = 30;
/// A card is worth no waiting: the database answers sooner than a Redis that is in trouble.
const OUTAGE_POLICY: OutagePolicy = OutagePolicy {
    degraded: "the memory of product cards",
    timeout: Duration::from_millis(100),
    max_failures: 1,
    pause: Duration::from_secs(2),
};
/// Most cards dropped by one command; an import of more lets the rest run out by themselves.
const MAX_DROPPED: usize = 1_000;

/// The cards. Clones share the connection.
#[derive(Clone)]
pub struct Cards {
    cache: Cache,
    metrics: Metrics,
}

impl Cards {
    /// Connects in the background, and again for ever; see [`Cache::connect`] for the authorities.
    pub fn connect(uri: &str, authorities: Option<&str>, metrics: Metrics) -> Result<Self, Error> {
        let cache = Cache::connect(uri, authorities, OUTAGE_POLICY)?;
        Ok(Self { cache, metrics })
    }

    /// Whether the cache is in use; else why not. Asks nobody.
    pub fn health(&self) -> Result<(), String> {
        self.cache.health()
    }

    /// Whether the cache keeps what is written; else why not.
    pub async fn check(&self) -> Result<(), String> {
        self.cache.check("product:check").await
    }

    /// The card, as it was put.
    pub async fn get(&self, id: ProductId) -> Option<String> {
        let card = self
            .cache
            .run(|redis| async move { redis.get::<Option<String>, _>(key(id)).await })
            .await;
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
        let put = self.cache.run(|redis| async move {
            redis
                .set::<(), _, _>(key(id), card, expiry, None, false)
                .await
        });
        put.await;
    }

    /// Forgets cards whose products were written.
    pub async fn drop_all(&self, ids: &[ProductId]) {
        let keys: Vec<String> = ids.iter().take(MAX_DROPPED).map(|id| key(*id)).collect();
        if keys.is_empty() {
            return;
        }
        let dropping = self
            .cache
            .run(|redis| async move { redis.del::<(), _>(keys).await });
        dropping.await;
    }
}

fn key(id: ProductId) -> String {
    format!("product:card:{}", id.as_uuid())
}
