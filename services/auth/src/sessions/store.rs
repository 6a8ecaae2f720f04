//! Sessions and their refresh tokens: `auth.sessions`, `auth.refresh_tokens`.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::{SessionId, UserId};

use super::domain::refresh_token::TokenFacts;
use crate::accounts::domain::account::Principal;

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedReason {
    /// The owner logged out.
    Logout,
    /// A used refresh token was presented again.
    Reuse,
    /// The password was changed.
    PasswordChanged,
}

impl RevokedReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::PasswordChanged => "password_changed",
        }
    }
}

/// A refresh token to be stored.
#[derive(Clone, Copy)]
pub struct NewToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Instant of the login or refresh.
    pub issued_at: DateTime<Utc>,
    /// End of its validity.
    pub expires_at: DateTime<Utc>,
}

/// Starts a session with its first token.
pub async fn open(
    conn: &mut PgConnection,
    id: SessionId,
    account: UserId,
    token: &NewToken,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with opened as (
             insert into auth.sessions (session_id, account_id, created_at, expires_at)
             values ($1, $2, $4, $5)
         )
         insert into auth.refresh_tokens (token_hash, session_id, issued_at, expires_at)
         values ($3, $1, $4, $5)",
        id.as_uuid(),
        account.as_uuid(),
        token.hash.as_slice(),
        token.issued_at,
        token.expires_at,
    )
    .execute(conn)
    .await
    .map_err(failed("open session"))?;
    Ok(())
}

/// Marks a valid token as used and returns its session: of concurrent requests one succeeds.
pub async fn claim(
    conn: &mut PgConnection,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<(SessionId, Principal)>, StoreError> {
    let row = sqlx::query!(
        "update auth.refresh_tokens token set used_at = $2
         from auth.sessions session join auth.accounts account using (account_id)
         where token.token_hash = $1 and token.used_at is null and token.expires_at > $2
           and session.session_id = token.session_id and session.revoked_at is null
         returning session.session_id, account.account_id, account.roles",
        hash.as_slice(),
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("claim token"))?;
    Ok(row.map(|row| {
        let principal = Principal {
            user_id: UserId::from_uuid(row.account_id),
            roles: row.roles,
        };
        (SessionId::from_uuid(row.session_id), principal)
    }))
}

/// Stores the next token of a session.
pub async fn extend(
    conn: &mut PgConnection,
    id: SessionId,
    token: &NewToken,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with extended as (
             update auth.sessions set expires_at = $4 where session_id = $1
         )
         insert into auth.refresh_tokens (token_hash, session_id, issued_at, expires_at)
         values ($2, $1, $3, $4)",
        id.as_uuid(),
        token.hash.as_slice(),
        token.issued_at,
        token.expires_at,
    )
    .execute(conn)
    .await
    .map_err(failed("extend session"))?;
    Ok(())
}

/// Finds a token and its session.
pub async fn find_token(
    conn: &mut PgConnection,
    hash: &[u8; 32],
) -> Result<Option<(SessionId, TokenFacts)>, StoreError> {
    let row = sqlx::query!(
        r#"select session_id, token.expires_at, token.used_at,
                  session.revoked_at is not null as "revoked!"
           from auth.refresh_tokens token join auth.sessions session using (session_id)
           where token_hash = $1"#,
        hash.as_slice(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find token"))?;
    Ok(row.map(|row| {
        let facts = TokenFacts {
            expires_at: row.expires_at,
            used_at: row.used_at,
            revoked: row.revoked,
        };
        (SessionId::from_uuid(row.session_id), facts)
    }))
}

/// The session and the account of a token of an earlier login, also of one that has been used or has ended,
/// but not one of which a copy exists.
pub async fn find_device(
    conn: &mut PgConnection,
    hash: &[u8; 32],
) -> Result<Option<(SessionId, UserId)>, StoreError> {
    let row = sqlx::query!(
        "select session_id, account_id
         from auth.refresh_tokens join auth.sessions session using (session_id)
         where token_hash = $1 and session.revoked_reason is distinct from 'reuse'",
        hash.as_slice(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find device"))?;
    Ok(row.map(|row| {
        let session = SessionId::from_uuid(row.session_id);
        (session, UserId::from_uuid(row.account_id))
    }))
}

/// Ends a session; true unless it had ended before.
pub async fn revoke(
    conn: &mut PgConnection,
    id: SessionId,
    reason: RevokedReason,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update auth.sessions set revoked_at = $2, revoked_reason = $3
         where session_id = $1 and revoked_at is null",
        id.as_uuid(),
        now,
        reason.as_str(),
    )
    .execute(conn)
    .await
    .map_err(failed("revoke session"))?;
    Ok(done.rows_affected() == 1)
}

/// Ends all sessions of an account.
pub async fn revoke_all(
    conn: &mut PgConnection,
    account: UserId,
    reason: RevokedReason,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update auth.sessions set revoked_at = $2, revoked_reason = $3
         where account_id = $1 and revoked_at is null",
        account.as_uuid(),
        now,
        reason.as_str(),
    )
    .execute(conn)
    .await
    .map_err(failed("revoke sessions"))?;
    Ok(done.rows_affected())
}

/// Removes up to `limit` expired sessions and up to `limit` expired tokens; returns how many.
pub async fn sweep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let sessions = sqlx::query!(
        "delete from auth.sessions where session_id in (
             select session_id from auth.sessions where expires_at < $1
             order by expires_at limit $2 for update skip locked)",
        now,
        limit,
    )
    .execute(&mut *conn)
    .await
    .map_err(failed("sweep sessions"))?;
    let tokens = sqlx::query!(
        "delete from auth.refresh_tokens where token_hash in (
             select token_hash from auth.refresh_tokens where expires_at < $1
             order by expires_at limit $2 for update skip locked)",
        now,
        limit,
    )
    .execute(conn)
    .await
    .map_err(failed("sweep tokens"))?;
    Ok(sessions.rows_affected() + tokens.rows_affected())
}
