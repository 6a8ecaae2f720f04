//! Applies events: each once, each aggregate's in order.

mod apply;
mod dead;
mod lanes;
mod pull;
mod returns;
mod session;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use events::{Event, EventType};
use sqlx::PgConnection;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

pub use dead::{DeadLetter, dead_letters, replay_dead_letter};

use crate::bus::Bus;
use crate::leader::for_ever;
use crate::metrics::Metrics;
use crate::schema::Schema;

/// An effect that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// The database is away or busy: try again for as long as it takes.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Try again, some times.
    #[error("the effect failed")]
    Transient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Trying again is pointless: a dead letter at once.
    #[error("the event cannot be applied")]
    Poison(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl EffectError {
    /// Trying again may help.
    pub fn transient(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient(error.into())
    }

    /// Trying again is pointless.
    pub fn poison(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Poison(error.into())
    }

    /// The kind in one word.
    fn label(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Transient(_) => "transient",
            Self::Poison(_) => "poison",
        }
    }
}

impl From<sqlx::Error> for EffectError {
    fn from(error: sqlx::Error) -> Self {
        if is_infrastructure(&error) {
            Self::Unavailable(error)
        } else {
            Self::Transient(error.into())
        }
    }
}

impl From<events::PayloadError> for EffectError {
    fn from(error: events::PayloadError) -> Self {
        Self::Poison(error.into())
    }
}

impl From<crate::OutboxError> for EffectError {
    fn from(error: crate::OutboxError) -> Self {
        match error {
            crate::OutboxError::Query { source, .. } if is_infrastructure(&source) => {
                Self::Unavailable(source)
            }
            other => Self::Transient(other.into()),
        }
    }
}

/// Errors that say nothing about the statement: connections, shutdowns, locks, conflicts.
fn is_infrastructure(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57"]
                .iter()
                .any(|class| code.starts_with(class))
                || code == "55P03"
                || code == "25006"
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// What a service does when it hears something.
pub trait Effects: Send + Sync + 'static {
    /// The service's name: durable consumer, inbox and receipts go by it. It must be among
    /// `EventType::consumers` of what it hears, or its producers wait for receipts in vain.
    fn consumer(&self) -> &'static str;

    /// What it wants to hear: what the table of events says that it must. An event that the table
    /// sends here and this list lacks becomes a dead letter.
    fn subjects(&self) -> &'static [EventType];

    /// Does it, in the transaction of the inbox row: no other connection, no HTTP. Called again for
    /// the same event only if the transaction did not commit.
    fn apply(
        &self,
        conn: &mut PgConnection,
        event: &Event,
    ) -> impl Future<Output = Result<(), EffectError>> + Send;

    /// Events of different aggregates applied in one transaction, at most. More than one only where
    /// an effect locks nothing but rows of its aggregate: together, effects take their locks in any
    /// order. If one of them fails, none has happened, and each is applied by itself.
    fn together(&self) -> usize {
        1
    }
}

/// Times and sizes of a consumer. The defaults are for production; tests are in more of a hurry.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerOptions {
    /// Transactions of effects side by side, each on a connection of the pool.
    pub concurrency: usize,
    /// Work is begun at most this often: what arrives in between is applied together. The first
    /// event after a rest is applied at once.
    pub pace: Duration,
    /// Failures of an effect before its event is a dead letter.
    pub attempts: u32,
    /// Pause after the first failure; doubles, up to a minute.
    pub backoff: Duration,
    /// How often stream, consumer and dead letters are looked at.
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

/// The consumer of one service. Run one per process; one of all processes is active, because two
/// would apply one aggregate's events out of order.
pub struct Consumer<E> {
    pool: PgPool,
    bus: Bus,
    schema: Schema,
    effects: E,
    metrics: Metrics,
    options: ConsumerOptions,
    /// The last session gave back everything that it had on loan.
    handed_back: AtomicBool,
}

impl<E: Effects> Consumer<E> {
    /// A consumer with its inbox in `schema`.
    pub fn new(pool: PgPool, bus: Bus, schema: Schema, effects: E, metrics: Metrics) -> Self {
        Self {
            pool,
            bus,
            schema,
            effects,
            metrics,
            options: ConsumerOptions::default(),
            handed_back: AtomicBool::new(false),
        }
    }

    /// The same with other times and sizes.
    #[must_use]
    pub fn options(self, options: ConsumerOptions) -> Self {
        Self { options, ..self }
    }

    /// Consumes until shutdown. Restarts of the bus and of the database are lived through.
    pub async fn run(self, shutdown: CancellationToken) {
        for_ever("consumer", &shutdown, || session::run(&self, &shutdown)).await;
    }
}
