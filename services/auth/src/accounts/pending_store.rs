//! Accounts whose address is not confirmed yet: `auth.pending_accounts`.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::UserId;

use super::store::NewAccount;

/// An account that waits for its code.
pub struct Pending {
    pub id: UserId,
    /// Name as written, and its unique key.
    pub username: (String, String),
    /// Address as written, and its unique key.
    pub email: (String, String),
    /// Argon2id hash, as a PHC string.
    pub password_hash: String,
}

/// Stores an account until its code is given back.
pub async fn insert(
    conn: &mut PgConnection,
    new: &NewAccount<'_>,
    code_hash: &[u8; 32],
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into auth.pending_accounts (code_hash, account_id, username, username_key, email, email_key,
             password_hash, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        code_hash.as_slice(),
        new.id.as_uuid(),
        new.username.0,
        new.username.1,
        new.email.0,
        new.email.1,
        new.password_hash,
        expires_at,
    )
    .execute(conn)
    .await
    .map_err(failed("insert pending account"))?;
    Ok(())
}

/// Takes out the account of a code that has not expired. Of concurrent calls one gets it.
pub async fn take(
    conn: &mut PgConnection,
    code_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<Pending>, StoreError> {
    let row = sqlx::query!(
        "delete from auth.pending_accounts where code_hash = $1 and expires_at > $2
         returning account_id, username, username_key, email, email_key, password_hash",
        code_hash.as_slice(),
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("take pending account"))?;
    Ok(row.map(|row| Pending {
        id: UserId::from_uuid(row.account_id),
        username: (row.username, row.username_key),
        email: (row.email, row.email_key),
        password_hash: row.password_hash,
    }))
}

/// Removes up to `limit` accounts whose codes have expired; returns how many.
pub async fn sweep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let swept = sqlx::query!(
        "delete from auth.pending_accounts where code_hash in (
             select code_hash from auth.pending_accounts where expires_at <= $1
             order by expires_at limit $2 for update skip locked)",
        now,
        limit,
    )
    .execute(conn)
    .await
    .map_err(failed("sweep pending accounts"))?;
    Ok(swept.rows_affected())
}
