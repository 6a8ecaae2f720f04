//! `user.registered.v1`

use events::UserRegistered;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::triggers::message;
use crate::triggers::trigger::Trigger;

impl Consume<UserRegistered> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<UserRegistered>,
    ) -> Result<(), HandlerError> {
        message::store(self, conn, event.id, Trigger::Welcome(event.payload)).await
    }
}
