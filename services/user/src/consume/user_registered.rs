//! `user.registered.v1`: the account gets a profile, unless somebody has asked for it before.

use chrono::{DateTime, Utc};
use events::UserRegistered;
use outbox::HandlerError;
use sqlx::PgConnection;

use crate::store::profiles;

pub(super) async fn apply(
    conn: &mut PgConnection,
    said: &UserRegistered,
    now: DateTime<Utc>,
) -> Result<(), HandlerError> {
    profiles::insert_if_absent(conn, said.user_id, &said.username, &said.email, now).await?;
    Ok(())
}
