//! What a service does with events.

use events::{Event, EventType};
use sqlx::PgConnection;

use crate::database_error::is_unavailable;

/// An event that was not handled.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The database is away or busy: try again for as long as it takes.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Try again, a limited number of times.
    #[error("the handler failed")]
    Transient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Trying again is pointless: a dead letter at once.
    #[error("the event cannot be handled")]
    Poison(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl HandlerError {
    /// Trying again may help.
    pub fn transient(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient(error.into())
    }

    /// Trying again is pointless.
    pub fn poison(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Poison(error.into())
    }

    /// The kind in one word.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Transient(_) => "transient",
            Self::Poison(_) => "poison",
        }
    }
}

impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            Self::Unavailable(error)
        } else {
            Self::Transient(error.into())
        }
    }
}

impl From<events::PayloadError> for HandlerError {
    fn from(error: events::PayloadError) -> Self {
        Self::Poison(error.into())
    }
}

impl From<crate::OutboxError> for HandlerError {
    fn from(error: crate::OutboxError) -> Self {
        match error {
            crate::OutboxError::Query { source, .. } if is_unavailable(&source) => {
                Self::Unavailable(source)
            }
            other => Self::Transient(other.into()),
        }
    }
}

/// The handler of a service's events.
pub trait Handler: Send + Sync + 'static {
    /// The service's name, which durable consumer, inbox and receipts bear. It must be among
    /// `EventType::consumers` of what it consumes, or its producers wait for receipts in vain.
    fn consumer(&self) -> &'static str;

    /// What it handles: all that the table of events routes to it. An event that the table routes here
    /// and this list lacks becomes a dead letter.
    fn event_types(&self) -> &[EventType];

    /// Handles an event in the transaction of its inbox row: no other connection, no HTTP. Called again
    /// for the same event only if the transaction did not commit.
    fn handle(
        &self,
        conn: &mut PgConnection,
        event: &Event,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// How many events of different aggregates may share a transaction. More than one only where
    /// handling locks nothing but rows of the event's aggregate: in a batch, locks are taken in any
    /// order. If one event fails, none of the batch is handled, and each is tried by itself.
    fn batch_size(&self) -> usize {
        1
    }
}
