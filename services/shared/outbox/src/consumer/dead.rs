//! Dead letters: events that could not be applied. Rows, with a replay button.

use chrono::{DateTime, Utc};
use events::Event;
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use vocabulary::EventId;

use crate::error::{Doing, OutboxError};
use crate::schema::Schema;

/// An event that could not be applied.
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
    /// When somebody asked for a replay; empty again after a replay that failed.
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
        .doing("read dead letters")
}

/// Asks the running consumer to apply a dead letter again; false if there is no such open letter.
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
        .doing("ask for a replay")?;
    Ok(asked.rows_affected() > 0)
}

/// Writes a dead letter. A second death of the same event (a replay that failed, a broker that was
/// rewound) updates the row.
pub(super) async fn bury(
    conn: &mut PgConnection,
    schema: Schema,
    consumer: &str,
    event: &Event,
    death: &Death,
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
        .bind(&death.error)
        .bind(i32::try_from(death.attempts).unwrap_or(i32::MAX))
        .execute(conn)
        .await
        .doing("write a dead letter")?;
    Ok(())
}

/// Why an event was given up.
pub(super) struct Death {
    pub error: String,
    pub attempts: u32,
}

/// The oldest letter whose replay was asked for, locked.
pub(super) async fn asked(
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
        .doing("look for replays")
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
        .doing("resolve a dead letter")?;
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
        .doing("count dead letters")
}
