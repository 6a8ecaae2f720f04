//! Errors of a service's store, and what they mean to an HTTP client and to the consumer of an event.

use std::fmt::Display;

use chassis::Problem;
use outbox::{HandlerError, OutboxError, is_unavailable};

/// A statement that failed, or a row that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection: the database is away or all connections are busy.
    #[error("no database connection")]
    Unavailable(#[source] sqlx::Error),
    /// A statement failed.
    #[error("query {query} failed")]
    Query {
        /// Name of the statement.
        query: &'static str,
        /// Cause.
        source: sqlx::Error,
    },
    /// A row holds what the checks of its table should have prevented.
    #[error("stored row violates an invariant: {0}")]
    InvalidRow(String),
    /// Another transaction changed the row since it was read.
    #[error("{0} changed since it was read")]
    Stale(String),
    /// An event that no statement was sent for.
    #[error(transparent)]
    Outbox(OutboxError),
}

/// A statement of the outbox is one of the store's.
impl From<OutboxError> for StoreError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Query { action, source } => Self::Query {
                query: action,
                source,
            },
            other => Self::Outbox(other),
        }
    }
}

/// Names the statement that failed: `.map_err(failed("find profile"))`.
pub fn failed(query: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { query, source }
}

impl StoreError {
    /// A row that violates an invariant; `row` names it, such as `payment pay_0190…`.
    pub fn invalid_row(row: impl Display) -> Self {
        Self::InvalidRow(row.to_string())
    }

    /// A row that another transaction changed; `row` names it.
    pub fn stale(row: impl Display) -> Self {
        Self::Stale(row.to_string())
    }

    /// Name of the constraint that the statement violated, if it did.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query { source, .. } => source.as_database_error()?.constraint(),
            Self::Unavailable(_) | Self::InvalidRow(_) | Self::Stale(_) | Self::Outbox(_) => None,
        }
    }
}

/// 503 where the same request may succeed in a moment, which includes whatever says that the database is not usable now; 500 for the
/// rest. After a `commit` that failed it is unknown whether it happened, with either status. A conflict that the client
/// caused is no store error: map it by [`StoreError::constraint`] before it gets here.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => {
                tracing::warn!(error = %source, "no database connection");
                Self::unavailable(1)
            }
            StoreError::Stale(row) => {
                tracing::info!(row, "concurrent update");
                Self::unavailable(1)
            }
            StoreError::Query { query, ref source } if is_unavailable(source) => {
                tracing::warn!(query, error = %source, "the database is not usable");
                Self::unavailable(1)
            }
            StoreError::Query { .. } | StoreError::InvalidRow(_) | StoreError::Outbox(_) => {
                Self::internal(&error)
            }
        }
    }
}

/// Connections, locks and conflicts are retried for as long as it takes, other failures a limited
/// number of times; a row that violates an invariant stays as it is, so that the event is a dead letter.
impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => Self::Unavailable(source),
            StoreError::Query { query, source } => match Self::from(source) {
                Self::Transient(source) => Self::transient(HandlerQueryError { query, source }),
                unavailable_or_poison => unavailable_or_poison,
            },
            stale @ StoreError::Stale(_) => Self::transient(stale),
            invalid @ StoreError::InvalidRow(_) => Self::poison(invalid),
            StoreError::Outbox(error) => error.into(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("query {query} failed")]
struct HandlerQueryError {
    query: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(source: sqlx::Error) -> StoreError {
        failed("insert order")(source)
    }

    #[test]
    fn a_client_may_repeat_what_met_a_busy_database_or_a_concurrent_update() {
        for error in [
            StoreError::Unavailable(sqlx::Error::PoolTimedOut),
            StoreError::stale("order ord_1"),
        ] {
            assert_eq!(Problem::from(error).status(), 503);
        }
        for error in [
            query(sqlx::Error::RowNotFound),
            StoreError::invalid_row("order ord_1"),
        ] {
            assert_eq!(Problem::from(error).status(), 500);
        }
    }

    #[test]
    fn a_handler_waits_for_the_database_and_gives_up_on_an_invalid_row() {
        let handled = |error: StoreError| HandlerError::from(error);
        assert!(matches!(
            handled(query(sqlx::Error::PoolTimedOut)),
            HandlerError::Unavailable(_)
        ));
        assert!(matches!(
            handled(StoreError::stale("order ord_1")),
            HandlerError::Transient(_)
        ));
        assert!(matches!(
            handled(StoreError::invalid_row("order ord_1")),
            HandlerError::Poison(_)
        ));
    }

    #[test]
    fn a_failed_handler_names_its_query() {
        let HandlerError::Transient(error) = HandlerError::from(query(sqlx::Error::RowNotFound))
        else {
            panic!("a row that was not found is no outage");
        };
        assert_eq!(error.to_string(), "query insert order failed");
        assert!(error.source().is_some());
    }
}
