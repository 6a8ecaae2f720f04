//! `user.registered.v1`: stores the profile of a new account, unless a request has stored it before.

use events::UserRegistered;
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::state::AppState;
use crate::store::profiles;

impl Consume<UserRegistered> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<UserRegistered>,
    ) -> Result<(), HandlerError> {
        let UserRegistered {
            user_id,
            username,
            email,
        } = event.payload;
        profiles::insert_if_absent(conn, user_id, &username, &email, self.core.now()).await?;
        Ok(())
    }
}
