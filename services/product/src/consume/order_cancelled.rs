//! `order.cancelled.v1`: what was sold is put back, once.

use events::OrderCancelled;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::domain::reservation::Command;
use crate::state::AppState;
use crate::store::reservations::{self, Outcome};

impl Consume<OrderCancelled> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderCancelled>,
    ) -> Result<(), HandlerError> {
        let (id, order) = (event.payload.reservation_id, event.payload.order_id);
        let restock = Command::Restock(order);
        let restocked = reservations::execute(conn, id, restock, self.core.now()).await?;
        if matches!(restocked, Outcome::Moved(_)) {
            self.metrics.reservation("restocked");
        } else {
            // An order is placed on claimed stock only, so this one was restocked before.
            tracing::info!(reservation = %id, %order, "nothing to restock");
        }
        Ok(())
    }
}
