//! `registration.requested.v1`

use events::RegistrationRequested;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::triggers::message;
use crate::triggers::trigger::Trigger;

impl Consume<RegistrationRequested> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<RegistrationRequested>,
    ) -> Result<(), HandlerError> {
        let trigger = Trigger::Registration(event.payload);
        message::store(self, conn, event.id, trigger).await
    }
}
