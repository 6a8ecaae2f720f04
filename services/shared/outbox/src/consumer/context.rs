//! What every part of a consumer works with.

use std::time::Duration;

use bus::Bus;
use sqlx::postgres::PgPool;

use crate::metrics::Metrics;
use crate::schema::Schema;

/// Times and sizes of a consumer. The defaults are for production; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerOptions {
    /// Transactions side by side, each on a connection of the pool.
    pub concurrency: usize,
    /// Batches are begun at most this often: what arrives in between shares one. The first event after
    /// a pause is handled at once.
    pub pace: Duration,
    /// Failures of the handler before its event becomes a dead letter.
    pub attempts: u32,
    /// Pause after the first failure; doubles, up to a minute.
    pub backoff: Duration,
    /// How often stream, consumer and dead letters are checked.
    pub check: Duration,
    /// A consumer on standby asks for the lock this often.
    pub standby: Duration,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            concurrency: 4,
            pace: Duration::from_millis(20),
            attempts: 10,
            backoff: Duration::from_secs(1),
            check: Duration::from_secs(5),
            standby: Duration::from_secs(1),
        }
    }
}

/// The parts of a consumer.
pub struct Context<H> {
    pub pool: PgPool,
    pub bus: Bus,
    pub schema: Schema,
    pub handler: H,
    pub metrics: Metrics,
    pub options: ConsumerOptions,
}
