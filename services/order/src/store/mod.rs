//! SQL, and nothing but SQL.

pub mod checkouts;
pub mod orders;

use vocabulary::OrderId;

/// A statement that failed, or a row that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The statement failed.
    #[error("query {query} failed")]
    Query {
        /// Which one.
        query: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A row that the checks of the table should have refused.
    #[error("{0} is stored in a way that makes no sense")]
    BadRow(OrderId),
    /// Somebody else has changed it since it was read.
    #[error("{0} has changed since it was read")]
    Stale(OrderId),
}

/// Names the statement that an error came from.
pub(crate) fn failed(query: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { query, source }
}
