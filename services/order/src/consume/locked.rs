//! The order of a payment.

use outbox::HandlerError;
use sqlx::PgConnection;
use vocabulary::{OrderId, PaymentId};

use crate::orders::domain::Order;
use crate::orders::store;

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
