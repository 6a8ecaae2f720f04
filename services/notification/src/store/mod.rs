//! SQL, and nothing but SQL.

pub mod messages;

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[error("query {query} failed")]
pub struct StoreError {
    /// Which one.
    pub query: &'static str,
    /// Why.
    pub source: sqlx::Error,
}

/// Names the statement that an error came from.
pub(crate) fn failed(query: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError { query, source }
}
