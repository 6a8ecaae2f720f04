//! `payment.failed.v1`: the order of this payment will not be paid.

use events::PaymentFailed;
use outbox::{HandlerError, Row};
use service::{Consume, Received};
use sqlx::PgConnection;

use super::locked;
use crate::checkout::store::checkouts;
use crate::orders::domain::{Change, Stage};
use crate::orders::store;
use crate::state::AppState;

/// A placed order is cancelled. One that awaits its payment is its checkout's, which is made due: it asks payment, and turns back.
impl Consume<PaymentFailed> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<PaymentFailed>,
    ) -> Result<(), HandlerError> {
        let event = event.payload;
        let now = self.core.now();
        let (id, payment_id) = (event.order_id, event.payment_id);
        // The checkout's row before the order's, as everywhere.
        if checkouts::wake(conn, id, payment_id, now).await? {
            return Ok(());
        }
        let Some(order) = locked::order(conn, id, payment_id).await? else {
            // Declined before there was an order: the checkout got the same answer.
            return Ok(());
        };
        if matches!(order.stage, Stage::AwaitingPayment { .. }) {
            return Ok(());
        }
        if let Change::Moved(order, cancelled) = order.cancel(now) {
            let cancelled = Row::of(self.core.event_meta(now), &cancelled)?;
            store::advance(conn, &order, cancelled, now).await?;
            self.metrics.cancelled.with_label_values(&["payment"]).inc();
        }
        Ok(())
    }
}
