//! What handlers, consumers and periodic tasks of every service use.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use events::EventMeta;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use vocabulary::{Clock, Entropy, EventId};

use crate::error::{StoreError, failed};

/// Database, clock and random source. Cheap to clone.
#[derive(Clone)]
pub struct Core {
    /// The service's database. Handlers and tasks take connections through [`Core::acquire`] and
    /// [`Core::begin`].
    pub pool: PgPool,
    /// Source of instants.
    pub clock: Arc<dyn Clock>,
    /// Source of randomness: ids, jitter.
    pub entropy: Arc<dyn Entropy>,
}

impl Core {
    /// The current instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Takes a connection.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.pool.acquire().await.map_err(StoreError::Unavailable)
    }

    /// Begins a transaction. It may be dropped at any time, also while it begins.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        outbox::pool::begin(&self.pool)
            .await
            .map_err(StoreError::Unavailable)
    }

    /// Commits a transaction. After an error it is unknown whether it was committed: the client repeats the
    /// request after a 500 or a 503, and learns the outcome (by idempotency key or by the state it finds).
    pub async fn commit(&self, tx: Transaction<'static, Postgres>) -> Result<(), StoreError> {
        tx.commit().await.map_err(failed("commit"))
    }

    /// Metadata of an event that happens at `now`, with the trace of the current request.
    pub fn event_meta(&self, now: DateTime<Utc>) -> EventMeta {
        EventMeta::new(EventId::mint(now, &*self.entropy), now).traced(chassis::trace::current())
    }
}
