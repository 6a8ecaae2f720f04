//! Errors of outbox and inbox.

use bus::BusError;

use crate::database_error::told;

/// An outbox operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A statement failed.
    #[error("failed to {action}")]
    Query {
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// A payload that has no JSON form.
    #[error("failed to serialise the event")]
    Payload(#[source] serde_json::Error),
    /// A payload that no bus would take.
    #[error("the event has {0} bytes, more than a message may have")]
    TooLarge(usize),
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// No answer in time.
    #[error("timed out: {0}")]
    TimedOut(&'static str),
}

/// Why a database is not ready.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// It does not answer, refuses, or was never migrated.
    #[error("the database cannot be used: {}", told(.0))]
    Unusable(#[from] sqlx::Error),
    /// It is a replica, or was demoted to one.
    #[error("the database is in recovery")]
    InRecovery,
    /// It takes no writes.
    #[error("the database is read-only")]
    ReadOnly,
    /// Migrations are missing.
    #[error("the schema is at version {found:?}, expected {expected}")]
    Behind {
        /// Version found.
        found: Option<i64>,
        /// Version that this build needs.
        expected: i64,
    },
}

/// Adds what was attempted to an error of the database.
pub(crate) trait Attempting<T> {
    fn attempting(self, action: &'static str) -> Result<T, OutboxError>;
}

impl<T> Attempting<T> for Result<T, sqlx::Error> {
    fn attempting(self, action: &'static str) -> Result<T, OutboxError> {
        self.map_err(|source| OutboxError::Query { action, source })
    }
}
