//! `order.cancelled.v1`

use events::OrderCancelled;
use outbox::EffectError;
use service::{Consume, Received};
use sqlx::PgConnection;

use super::store_message;
use crate::state::AppState;
use crate::triggers::trigger::Trigger;

impl Consume<OrderCancelled> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderCancelled>,
    ) -> Result<(), EffectError> {
        store_message(self, conn, event.id, Trigger::OrderCancelled(event.payload)).await
    }
}
