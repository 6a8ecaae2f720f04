//! SQL, and nothing but SQL.

pub mod queue;
pub mod read;
pub mod write;

/// A statement that failed, or a row that violates an invariant.
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
    #[error("the stored row of payment {0} violates an invariant")]
    BadRow(vocabulary::PaymentId),
}

/// Names the statement that an error came from.
pub(crate) fn failed(query: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { query, source }
}

impl StoreError {
    /// The name of the constraint that was violated, if one was.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query {
                source: sqlx::Error::Database(error),
                ..
            } => error.constraint(),
            Self::Query { .. } | Self::BadRow(_) => None,
        }
    }
}
