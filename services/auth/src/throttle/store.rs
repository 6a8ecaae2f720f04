//! The counters of failed logins and of registrations: `auth.throttles`.

use chrono::{DateTime, TimeDelta, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;

use super::domain::{Level, Limit};

/// The level of a counter; none if nothing was counted lately.
pub async fn level(conn: &mut PgConnection, key: &str) -> Result<Option<Level>, StoreError> {
    let row = sqlx::query!("select level, at from auth.throttles where key = $1", key)
        .fetch_optional(conn)
        .await
        .map_err(failed("read throttle"))?;
    Ok(row.map(|row| Level {
        level: row.level,
        at: row.at,
    }))
}

/// Counts an attempt.
pub async fn raise(
    conn: &mut PgConnection,
    key: &str,
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into auth.throttles as old (key, level, at, expires_at) values ($1, 1, $2, $4)
         on conflict (key) do update set
             level = greatest(0, old.level - greatest(0, extract(epoch from $2 - old.at)::float8) / $3) + 1,
             at = greatest(old.at, $2),
             expires_at = greatest(old.expires_at, $4)",
        key,
        now,
        limit.secs_each(),
        expiry(limit, now),
    )
    .execute(conn)
    .await
    .map_err(failed("raise throttle"))?;
    Ok(())
}

/// Counts an attempt if there is room for it; returns whether there was. Of concurrent attempts no more
/// pass than there is room for.
pub async fn take(
    conn: &mut PgConnection,
    key: &str,
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let taken = sqlx::query!(
        "insert into auth.throttles as old (key, level, at, expires_at) values ($1, 1, $2, $4)
         on conflict (key) do update set
             level = greatest(0, old.level - greatest(0, extract(epoch from $2 - old.at)::float8) / $3) + 1,
             at = greatest(old.at, $2),
             expires_at = greatest(old.expires_at, $4)
         where greatest(0, old.level - greatest(0, extract(epoch from $2 - old.at)::float8) / $3) + 1
             <= $5::float8 + 0.00001",
        key,
        now,
        limit.secs_each(),
        expiry(limit, now),
        f64::from(limit.count.max(1)),
    )
    .execute(conn)
    .await
    .map_err(failed("take from throttle"))?;
    Ok(taken.rows_affected() == 1)
}

/// Takes one attempt back.
pub async fn lower(conn: &mut PgConnection, key: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update auth.throttles set level = greatest(0, level - 1) where key = $1",
        key,
    )
    .execute(conn)
    .await
    .map_err(failed("lower throttle"))?;
    Ok(())
}

/// Forgets a counter.
pub async fn forget(conn: &mut PgConnection, key: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from auth.throttles where key = $1", key)
        .execute(conn)
        .await
        .map_err(failed("forget throttle"))?;
    Ok(())
}

/// Remembers a fact until then, as a counter of nothing.
pub async fn note(
    conn: &mut PgConnection,
    key: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into auth.throttles (key, level, at, expires_at) values ($1, 0, $2, $3)
         on conflict (key) do update set expires_at = $3",
        key,
        now,
        until,
    )
    .execute(conn)
    .await
    .map_err(failed("note in throttles"))?;
    Ok(())
}

/// Whether a fact is remembered.
pub async fn is_noted(
    conn: &mut PgConnection,
    key: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        "select key from auth.throttles where key = $1 and expires_at > $2",
        key,
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("read note in throttles"))?;
    Ok(row.is_some())
}

/// Removes up to `limit` counters that have sunk to nothing; returns how many.
pub async fn sweep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let swept = sqlx::query!(
        "delete from auth.throttles where key in (
             select key from auth.throttles where expires_at < $1
             order by expires_at limit $2 for update skip locked)",
        now,
        limit,
    )
    .execute(conn)
    .await
    .map_err(failed("sweep throttles"))?;
    Ok(swept.rows_affected())
}

/// A level never exceeds its limit by more than what is in flight, so after two windows nothing is left.
fn expiry(limit: Limit, now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::seconds(2 * i64::from(limit.window_secs))
}
