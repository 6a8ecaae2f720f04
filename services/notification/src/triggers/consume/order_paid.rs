//! `order.paid.v1`

use events::OrderPaid;
use outbox::EffectError;
use service::{Consume, Received};
use sqlx::PgConnection;

use super::store_message;
use crate::state::AppState;
use crate::triggers::trigger::Trigger;

impl Consume<OrderPaid> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderPaid>,
    ) -> Result<(), EffectError> {
        store_message(self, conn, event.id, Trigger::OrderPaid(event.payload)).await
    }
}
