//! `order.cancelled.v1`: what is held is voided, what was taken is returned.

use events::OrderCancelled;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::attempts::execute::OperateError;
use crate::attempts::operate::{commit_change, lock_or_remember};
use crate::attempts::store::read::Record;
use crate::state::AppState;

const OPERATION: &str = "order.cancelled";

impl Consume<OrderCancelled> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderCancelled>,
    ) -> Result<(), HandlerError> {
        // Consumed before the payment is requested, it is remembered: the payment can then never be made.
        let id = event.payload.payment_id;
        if let Some(Record::Attempt(attempt)) = lock_or_remember(conn, id, self.core.now()).await? {
            let change = attempt.cancel(OPERATION).map_err(OperateError::from)?;
            commit_change(self, conn, change).await?;
        }
        Ok(())
    }
}
