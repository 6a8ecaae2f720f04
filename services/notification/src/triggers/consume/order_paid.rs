//! `order.paid.v1`

use events::OrderPaid;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::triggers::message;
use crate::triggers::trigger::Trigger;

impl Consume<OrderPaid> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderPaid>,
    ) -> Result<(), HandlerError> {
        message::store(self, conn, event.id, Trigger::OrderPaid(event.payload)).await
    }
}
