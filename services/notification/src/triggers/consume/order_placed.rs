//! `order.placed.v1`

use events::OrderPlaced;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::triggers::message;
use crate::triggers::trigger::Trigger;

impl Consume<OrderPlaced> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderPlaced>,
    ) -> Result<(), HandlerError> {
        message::store(self, conn, event.id, Trigger::OrderPlaced(event.payload)).await
    }
}
