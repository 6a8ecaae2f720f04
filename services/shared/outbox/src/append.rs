//! Events enter the outbox in the transaction of the decision.

use chrono::{DateTime, Utc};
use events::{Event, EventMeta, Payload};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::error::{Doing, OutboxError};
use crate::schema::Schema;

/// The bus takes 1 MiB with headers; half of it leaves room for both sides to grow.
const MAX_BYTES: usize = 512 * 1024;

/// An event as a row, for a statement that writes a decision and its event in one: a transaction of
/// one statement needs no `begin` and no `commit`. Such a statement ends as [`append`] does, with the
/// insert and the notification. The README shows how.
#[derive(Debug, Clone)]
pub struct Row {
    /// `event_id`.
    pub event_id: Uuid,
    /// `type`.
    pub ty: &'static str,
    /// `aggregate`.
    pub aggregate: String,
    /// `body`, as text.
    pub body: String,
    /// `traceparent`.
    pub traceparent: Option<String>,
    /// `created_at`.
    pub created_at: DateTime<Utc>,
}

impl Row {
    /// The row of an event.
    pub fn of<P: Payload>(meta: EventMeta, payload: &P) -> Result<Self, OutboxError> {
        let event = Event::of(meta, payload).map_err(OutboxError::Payload)?;
        let body = event.to_text().map_err(OutboxError::Payload)?;
        if body.len() > MAX_BYTES {
            return Err(OutboxError::TooLarge(body.len()));
        }
        Ok(Self {
            event_id: event.id.as_uuid(),
            ty: event.ty.as_str(),
            aggregate: event.aggregate,
            body,
            traceparent: event.traceparent,
            created_at: event.time,
        })
    }
}

/// Appends an event to the outbox, in the transaction of `conn`.
///
/// Events of one aggregate keep their order if their transactions do: change the aggregate's own row
/// before appending, so that its lock puts them in a line.
pub async fn append<P: Payload>(
    conn: &mut PgConnection,
    schema: Schema,
    meta: EventMeta,
    payload: &P,
) -> Result<(), OutboxError> {
    let row = Row::of(meta, payload)?;
    // NOTIFY serialises commits, so it is sent only when the relay may be asleep: with a backlog in
    // sight it is awake. A row that slips through waits for the relay's next poll. The newest row is
    // looked for: before the oldest lie those that were published since the last vacuum.
    let outbox = schema.table("outbox");
    let sql = format!(
        "with said as (
             insert into {outbox} (event_id, type, aggregate, body, traceparent, created_at)
             values ($1, $2, $3, $4::jsonb, $5, $6)
             returning event_id
         )
         select pg_notify($7, '') from said
         where (select position from {outbox} where published_at is null and done_at is null
                order by position desc limit 1) is null"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(row.event_id)
        .bind(row.ty)
        .bind(row.aggregate)
        .bind(row.body)
        .bind(row.traceparent)
        .bind(row.created_at)
        .bind(channel(schema))
        .fetch_optional(conn)
        .await
        .doing("append to the outbox")?;
    Ok(())
}

/// The channel on which a schema's relay is woken.
pub(crate) fn channel(schema: Schema) -> String {
    format!("outbox_{}", schema.name())
}
