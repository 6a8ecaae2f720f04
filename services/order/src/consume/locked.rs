//! The order of a payment.

use outbox::HandlerError;
use sqlx::PgConnection;
use vocabulary::{OrderId, PaymentId};

use crate::orders::domain::Order;
use crate::orders::store;
use crate::store::StoreError;

/// The order that a payment is for, under its lock, if there is one.
pub(super) async fn order(
    conn: &mut PgConnection,
    id: OrderId,
    payment_id: PaymentId,
) -> Result<Option<Order>, HandlerError> {
    match store::lock(conn, id, None).await? {
        Some(order) if order.payment_id != payment_id => Err(HandlerError::poison(format!(
            "{payment_id} is not the payment of {id}"
        ))),
        order => Ok(order),
    }
}

impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Query { query, source } => {
                tracing::warn!(query, "effect of an event failed");
                source.into()
            }
            stale @ StoreError::Stale(_) => Self::transient(stale),
            bad @ StoreError::BadRow(_) => Self::poison(bad),
        }
    }
}
