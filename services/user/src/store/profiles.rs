//! Profiles: `users.profiles`.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::UserId;

use crate::domain::profile::Profile;

/// Stores the profile of an account unless it exists: the event and the first request may come in any
/// order. True if it was stored.
pub async fn insert_if_absent(
    conn: &mut PgConnection,
    id: UserId,
    username: &str,
    email: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into users.profiles (user_id, username, email, created_at, updated_at)
         values ($1, $2, $3, $4, $4) on conflict (user_id) do nothing",
        id.as_uuid(),
        username,
        email,
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("insert profile"))?;
    Ok(done.rows_affected() == 1)
}

/// A profile.
pub async fn find(conn: &mut PgConnection, id: UserId) -> Result<Option<Profile>, StoreError> {
    sqlx::query_as!(
        Profile,
        r#"select user_id as "id: UserId", username, email, first_name, last_name, version
           from users.profiles where user_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find profile"))
}

/// A profile to be changed, locked until the end of the transaction.
pub async fn lock(conn: &mut PgConnection, id: UserId) -> Result<Option<Profile>, StoreError> {
    sqlx::query_as!(
        Profile,
        r#"select user_id as "id: UserId", username, email, first_name, last_name, version
           from users.profiles where user_id = $1 for update"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock profile"))
}

/// Stores a changed profile that was locked.
pub async fn update(
    conn: &mut PgConnection,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update users.profiles
         set first_name = $2, last_name = $3, version = $4, updated_at = $5 where user_id = $1",
        profile.id.as_uuid(),
        profile.first_name,
        profile.last_name,
        profile.version,
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("update profile"))?;
    Ok(())
}
