//! `order.cancelled.v1`

use events::OrderCancelled;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::triggers::message;
use crate::triggers::trigger::Trigger;

impl Consume<OrderCancelled> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderCancelled>,
    ) -> Result<(), HandlerError> {
        message::store(self, conn, event.id, Trigger::OrderCancelled(event.payload)).await
    }
}
