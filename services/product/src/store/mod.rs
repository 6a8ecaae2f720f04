//! SQL, and nothing but SQL.

pub mod catalogue;
pub mod reservations;
pub mod search;

use vocabulary::{ProductId, ReservationId};

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
    #[error("product {0} is stored in a way that makes no sense")]
    BadProduct(ProductId),
    /// A row that the checks of the table should have refused.
    #[error("reservation {0} is stored in a way that makes no sense")]
    BadReservation(ReservationId),
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
            Self::Query { .. } | Self::BadProduct(_) | Self::BadReservation(_) => None,
        }
    }
}
