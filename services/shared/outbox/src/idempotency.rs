//! Once per idempotency key: the first request is processed, later ones get its response.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::error::{Attempting, OutboxError};
use crate::schema::Schema;

/// A request that must be processed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose key it is: keys of two callers are independent.
    pub caller: String,
    /// Which operation, such as `POST /v1/orders`.
    pub route: &'static str,
    /// The `Idempotency-Key` header.
    pub key: String,
    /// The request, such as the bytes of its body; the table keeps its SHA-256.
    pub fingerprint: Vec<u8>,
}

impl Key {
    /// Takes a header of 1 to 255 visible ASCII characters.
    pub fn new(
        caller: impl Into<String>,
        route: &'static str,
        key: &str,
        fingerprint: impl Into<Vec<u8>>,
    ) -> Option<Self> {
        let legal = (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        legal.then(|| Self {
            caller: caller.into(),
            route,
            key: key.to_owned(),
            fingerprint: fingerprint.into(),
        })
    }
}

/// The response that is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Location` header.
    pub location: Option<String>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// What a key means for this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Do the work, then [`finish`]. A request that was interrupted is taken over a minute later, so the
    /// work must be safe to repeat.
    Fresh,
    /// The work is done: give this response.
    Replay(Answer),
    /// The first request is still being processed: 409.
    InFlight,
    /// The key was used for something else: 422.
    Mismatch,
}

/// Responses are kept for this time. `idempotency_claim` goes by it too.
const KEEP: TimeDelta = TimeDelta::hours(24);

/// A row: same fingerprint, status, location, body.
type Held = (bool, Option<i16>, Option<String>, Option<Vec<u8>>);

/// Claims the key. Commit before working, so that a twin sees the claim instead of waiting. A service
/// may call `idempotency_claim` in the statement that records the work, and [`look`] where that is false.
pub async fn begin(
    conn: &mut PgConnection,
    schema: Schema,
    key: &Key,
    now: DateTime<Utc>,
) -> Result<Begin, OutboxError> {
    let claim = schema.table("idempotency_claim");
    let sql = format!("select {claim}($1, $2, $3, $4, $5)");
    let claimed: bool = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(&key.caller)
        .bind(key.route)
        .bind(&key.key)
        .bind(&key.fingerprint)
        .bind(now)
        .fetch_one(&mut *conn)
        .await
        .attempting("claim an idempotency key")?;
    if claimed {
        return Ok(Begin::Fresh);
    }
    look(conn, schema, key).await
}

/// What a key that could not be claimed means.
pub async fn look(
    conn: &mut PgConnection,
    schema: Schema,
    key: &Key,
) -> Result<Begin, OutboxError> {
    let table = schema.table("idempotency_keys");
    let read = format!(
        "select fingerprint = sha256($4), status, location, body
         from {table} where caller = $1 and route = $2 and key = $3"
    );
    let held: Option<Held> = sqlx::query_as(AssertSqlSafe(read))
        .bind(&key.caller)
        .bind(key.route)
        .bind(&key.key)
        .bind(&key.fingerprint)
        .fetch_optional(conn)
        .await
        .attempting("read an idempotency key")?;
    Ok(match held {
        Some((false, ..)) => Begin::Mismatch,
        Some((true, Some(status), location, body)) => Begin::Replay(Answer {
            status: u16::try_from(status).unwrap_or(500),
            location,
            body: body.unwrap_or_default(),
        }),
        // Abandoned between the two statements: the client's next try finds it free.
        Some((true, None, ..)) | None => Begin::InFlight,
    })
}

/// Records the response, best in the transaction of the work. A statement that does the work calls
/// `idempotency_finish` itself.
pub async fn finish(
    conn: &mut PgConnection,
    schema: Schema,
    key: &Key,
    answer: &Answer,
) -> Result<(), OutboxError> {
    let finish = schema.table("idempotency_finish");
    let sql = format!("select {finish}($1, $2, $3, $4, $5, $6, $7)");
    sqlx::query(AssertSqlSafe(sql))
        .bind(&key.caller)
        .bind(key.route)
        .bind(&key.key)
        .bind(&key.fingerprint)
        .bind(i16::try_from(answer.status).unwrap_or(500))
        .bind(&answer.location)
        .bind(&answer.body)
        .execute(conn)
        .await
        .attempting("finish an idempotency key")?;
    Ok(())
}

/// Releases the key: nothing was done, the client may use it again.
pub async fn abandon(
    conn: &mut PgConnection,
    schema: Schema,
    key: &Key,
) -> Result<(), OutboxError> {
    let sql = format!(
        "delete from {} where caller = $1 and route = $2 and key = $3 and status is null",
        schema.table("idempotency_keys")
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(&key.caller)
        .bind(key.route)
        .bind(&key.key)
        .execute(conn)
        .await
        .attempting("abandon an idempotency key")?;
    Ok(())
}

/// Deletes up to a thousand keys older than a day; true if there may be more. The relay calls it.
pub async fn sweep(
    conn: &mut PgConnection,
    schema: Schema,
    now: DateTime<Utc>,
) -> Result<bool, OutboxError> {
    let table = schema.table("idempotency_keys");
    let sql = format!(
        "delete from {table} where ctid = any (array(
             select ctid from {table} where created_at < $1 order by created_at limit 1000))"
    );
    let swept = sqlx::query(AssertSqlSafe(sql))
        .bind(now - KEEP)
        .execute(conn)
        .await
        .attempting("sweep idempotency keys")?;
    Ok(swept.rows_affected() == 1000)
}
