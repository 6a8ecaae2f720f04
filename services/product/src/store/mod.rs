//! SQL: rows decode to domain types, or the error names the row.

pub mod catalogue;
pub mod reservations;
pub mod search;

use vocabulary::{ProductId, ReservationId};

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
    #[error("stored row of product {0} violates an invariant")]
    BadProduct(ProductId),
    /// A row that the checks of the table should have refused.
    #[error("stored row of reservation {0} violates an invariant")]
    BadReservation(ReservationId),
    /// Others kept changing it.
    #[error("reservation {0} changed each time it was to be written")]
    Contended(ReservationId),
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
            Self::Query { .. }
            | Self::BadProduct(_)
            | Self::BadReservation(_)
            | Self::Contended(_) => None,
        }
    }
}
