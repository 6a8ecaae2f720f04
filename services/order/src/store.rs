//! Errors of SQL.

use vocabulary::OrderId;

/// A statement that failed, or a row that violates an invariant.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("query {query} failed")]
    Query {
        query: &'static str,
        source: sqlx::Error,
    },
    /// The constraints of the table should have refused it.
    #[error("stored row {0} violates an invariant")]
    BadRow(OrderId),
    #[error("{0} changed since it was read")]
    Stale(OrderId),
}

/// Names the statement that an error came from.
pub(crate) fn failed(query: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { query, source }
}
