//! `payment.captured.v1`: the order is paid.

use events::PaymentCaptured;
use outbox::{HandlerError, Row};
use service::{Consume, Received};
use sqlx::PgConnection;

use super::locked;
use crate::orders::domain::Change;
use crate::orders::store;
use crate::state::AppState;

impl Consume<PaymentCaptured> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<PaymentCaptured>,
    ) -> Result<(), HandlerError> {
        let event = event.payload;
        let now = self.core.now();
        let id = event.order_id;
        // A payment is captured because its order was placed, so there is one.
        let order = locked::order(conn, id, event.payment_id).await?;
        let order = order.ok_or_else(|| HandlerError::poison(format!("no order {id}")))?;
        match order.pay(now).map_err(HandlerError::transient)? {
            Change::Moved(order, paid) => {
                let paid = Row::of(self.core.event_meta(now), &paid)?;
                store::advance(conn, &order, paid, now).await?;
                self.metrics.paid.inc();
            }
            // Cancelled before the capture: payment consumes the cancellation, and refunds.
            Change::Unchanged => {}
        }
        Ok(())
    }
}
