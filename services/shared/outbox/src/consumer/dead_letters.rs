//! Dead letters: events that could not be handled. Rows, which can be replayed.

use chrono::{DateTime, Utc};
use events::Event;
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use vocabulary::EventId;

use crate::error::{Attempting, OutboxError};
use crate::schema::Schema;

/// An event that could not be handled.
#[derive(Debug, Clone, FromRow)]
pub struct DeadLetter {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    #[sqlx(rename = "type")]
    pub ty: String,
    /// The event as it came.
    pub body: Value,
    /// The last failure, with its causes.
    pub error: String,
    /// Failures so far.
    pub attempts: i32,
    /// When it was given up.
    pub died_at: DateTime<Utc>,
    /// When a replay was requested; empty again after a replay that failed.
    pub replay_asked_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "event_id, type, body, error, attempts, died_at, replay_asked_at";

/// The dead letters that nobody has resolved, oldest first.
pub async fn dead_letters(
    conn: &mut PgConnection,
    schema: Schema,
    limit: u16,
) -> Result<Vec<DeadLetter>, OutboxError> {
    let sql = format!(
        "select {COLUMNS} from {} where resolved_at is null order by died_at limit $1",
        schema.table("dead_letters")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await
        .attempting("read dead letters")
}

/// Asks the running consumer to handle a dead letter again; false if there is no such open letter.
pub async fn replay_dead_letter(
    conn: &mut PgConnection,
    schema: Schema,
    event_id: EventId,
) -> Result<bool, OutboxError> {
    let sql = format!(
        "update {} set replay_asked_at = now() where event_id = $1 and resolved_at is null",
        schema.table("dead_letters")
    );
    let asked = sqlx::query(AssertSqlSafe(sql))
        .bind(event_id)
        .execute(conn)
        .await
        .attempting("request a replay")?;
    Ok(asked.rows_affected() > 0)
}

/// Writes a dead letter. Another one for the same event (a replay that failed, a broker that was
/// rewound) updates the row.
pub(super) async fn insert(
    conn: &mut PgConnection,
    schema: Schema,
    consumer: &str,
    event: &Event,
    failure: &Failure,
) -> Result<(), OutboxError> {
    let sql = format!(
        "insert into {} as old
             (consumer, event_id, type, aggregate, body, error, attempts, died_at)
         values ($1, $2, $3, $4, $5, $6, $7, now())
         on conflict (consumer, event_id) do update
         set error = excluded.error, attempts = old.attempts + excluded.attempts,
             died_at = now(), replay_asked_at = null, resolved_at = null",
        schema.table("dead_letters")
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(consumer)
        .bind(event.id)
        .bind(event.ty.as_str())
        .bind(&event.aggregate)
        .bind(event.to_value().map_err(OutboxError::Payload)?)
        .bind(&failure.error)
        .bind(i32::try_from(failure.attempts).unwrap_or(i32::MAX))
        .execute(conn)
        .await
        .attempting("write a dead letter")?;
    Ok(())
}

/// Why an event was given up.
pub(super) struct Failure {
    pub error: String,
    pub attempts: u32,
}

/// The oldest letter whose replay was requested, locked.
pub(super) async fn lock_requested(
    conn: &mut PgConnection,
    schema: Schema,
    consumer: &str,
) -> Result<Option<DeadLetter>, OutboxError> {
    let sql = format!(
        "select {COLUMNS} from {}
         where consumer = $1 and resolved_at is null and replay_asked_at is not null
         order by died_at limit 1 for update skip locked",
        schema.table("dead_letters")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(consumer)
        .fetch_optional(conn)
        .await
        .attempting("look for replays")
}

pub(super) async fn resolve(
    conn: &mut PgConnection,
    schema: Schema,
    consumer: &str,
    event_id: EventId,
) -> Result<(), OutboxError> {
    let sql = format!(
        "update {} set resolved_at = now() where consumer = $1 and event_id = $2",
        schema.table("dead_letters")
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(consumer)
        .bind(event_id)
        .execute(conn)
        .await
        .attempting("resolve a dead letter")?;
    Ok(())
}

pub(super) async fn count(
    conn: &mut PgConnection,
    schema: Schema,
    consumer: &str,
) -> Result<i64, OutboxError> {
    let sql = format!(
        "select count(*) from {} where consumer = $1 and resolved_at is null",
        schema.table("dead_letters")
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(consumer)
        .fetch_one(conn)
        .await
        .attempting("count dead letters")
}
