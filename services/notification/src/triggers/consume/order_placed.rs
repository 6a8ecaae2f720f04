//! `order.placed.v1`

use events::OrderPlaced;
use outbox::EffectError;
use service::{Consume, Received};
use sqlx::PgConnection;

use super::store_message;
use crate::state::AppState;
use crate::triggers::trigger::Trigger;

impl Consume<OrderPlaced> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderPlaced>,
    ) -> Result<(), EffectError> {
        store_message(self, conn, event.id, Trigger::OrderPlaced(event.payload)).await
    }
}
