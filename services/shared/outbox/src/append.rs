//! Events enter the outbox in the transaction of the decision.

use events::{Event, EventMeta, Payload};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::error::{Attempting, OutboxError};
use crate::schema::Schema;

/// The bus takes 1 MiB with headers; half of it leaves room for both sides to grow.
const MAX_BYTES: usize = 512 * 1024;

/// An event as the argument of `outbox_append`, for a statement that writes a decision and its event in
/// one: a transaction of one statement needs no `begin` and no `commit`. The README shows how.
#[derive(Debug, Clone)]
pub struct Row(String);

impl Row {
    /// The row of an event.
    pub fn of<P: Payload>(meta: EventMeta, payload: &P) -> Result<Self, OutboxError> {
        let event = Event::of(meta, payload).map_err(OutboxError::Payload)?;
        let body = event.to_text().map_err(OutboxError::Payload)?;
        if body.len() > MAX_BYTES {
            return Err(OutboxError::TooLarge(body.len()));
        }
        Ok(Self(body))
    }

    /// The envelope, to be bound as `$1::text::jsonb`.
    pub fn as_str(&self) -> &str {
        &self.0
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
    let sql = format!("select {}($1::text::jsonb)", schema.table("outbox_append"));
    sqlx::query(AssertSqlSafe(sql))
        .bind(row.as_str())
        .execute(conn)
        .await
        .attempting("append to the outbox")?;
    Ok(())
}

/// The channel on which a schema's relay is woken.
pub(crate) fn channel(schema: Schema) -> String {
    format!("outbox_{}", schema.name())
}
