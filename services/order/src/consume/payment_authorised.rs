//! `payment.authorised.v1`: an order that awaits this payment can be placed.

use events::PaymentAuthorised;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::checkout::store::checkouts;
use crate::state::AppState;

/// Makes the checkout due; it asks payment itself, so the event is a hint that may come early, late, or not at all. Most payments
/// are authorised before there is an order, and nobody waits for their event.
impl Consume<PaymentAuthorised> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<PaymentAuthorised>,
    ) -> Result<(), HandlerError> {
        let event = event.payload;
        let now = self.core.now();
        if checkouts::wake(conn, event.order_id, event.payment_id, now).await? {
            tracing::info!(order = %event.order_id, "payment authorised, checkout due");
        }
        Ok(())
    }
}
