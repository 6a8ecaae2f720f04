//! What every part of a relay works with.

use std::time::Duration;

use bus::Bus;
use sqlx::postgres::PgPool;

use crate::metrics::Metrics;
use crate::schema::Schema;

/// Times and sizes of a relay. The defaults are for production; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct RelayOptions {
    /// Looks for rows this often even without a notification.
    pub poll: Duration,
    /// Looks for rows at most this often: what commits in between is published together. The first row
    /// after a pause is published at once.
    pub pace: Duration,
    /// Receipts wait this long for others, so that one write is for many.
    pub linger: Duration,
    /// Compares the stream with the record this often.
    pub check: Duration,
    /// A published row may be without receipts for this long; doubles with each attempt.
    pub grace: Duration,
    /// A relay on standby asks for the lock this often.
    pub standby: Duration,
    /// Aggregates published side by side.
    pub in_flight: usize,
    /// Done rows are kept for this long.
    pub keep: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            pace: Duration::from_millis(50),
            linger: Duration::from_millis(250),
            check: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            standby: Duration::from_secs(1),
            in_flight: 64,
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// The parts of a relay.
pub struct Context {
    pub pool: PgPool,
    pub bus: Bus,
    pub schema: Schema,
    pub producer: &'static str,
    pub metrics: Metrics,
    pub options: RelayOptions,
}
