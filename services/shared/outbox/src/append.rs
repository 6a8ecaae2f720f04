//! Events enter the outbox in the transaction of the decision.

use events::{Event, EventMeta, Payload};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::error::{Doing, OutboxError};
use crate::schema::Schema;

/// The bus takes 1 MiB with headers; half of it leaves room for both sides to grow.
const MAX_BYTES: usize = 512 * 1024;

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
    let event = Event::of(meta, payload).map_err(OutboxError::Payload)?;
    let body = serde_json::to_string(&event.to_value().map_err(OutboxError::Payload)?)
        .map_err(OutboxError::Payload)?;
    if body.len() > MAX_BYTES {
        return Err(OutboxError::TooLarge(body.len()));
    }
    // NOTIFY serialises commits, so it is sent only when the relay may be asleep: with a backlog in
    // sight it is awake. A row that slips through waits for the relay's next poll.
    let outbox = schema.table("outbox");
    let sql = format!(
        "with appended as (
             insert into {outbox} (event_id, type, aggregate, body, traceparent, created_at)
             values ($1, $2, $3, $4::jsonb, $5, $6)
             returning event_id
         )
         select pg_notify($7, '') from appended
         where not exists (select from {outbox} where published_at is null and done_at is null)"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(event.id)
        .bind(event.ty.as_str())
        .bind(&event.aggregate)
        .bind(body)
        .bind(&event.traceparent)
        .bind(event.time)
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
