//! `user.registered.v1`

use events::UserRegistered;
use outbox::EffectError;
use service::{Consume, Received};
use sqlx::PgConnection;

use super::store_message;
use crate::state::AppState;
use crate::triggers::trigger::Trigger;

impl Consume<UserRegistered> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<UserRegistered>,
    ) -> Result<(), EffectError> {
        store_message(self, conn, event.id, Trigger::Welcome(event.payload)).await
    }
}
