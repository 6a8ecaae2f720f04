//! The inbox: which events a consumer has handled.

use std::collections::HashSet;

use events::Event;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::error::{Attempting, OutboxError};
use crate::schema::Schema;

/// Inserts inbox rows and returns which of them are new. A duplicate refreshes its row, so that events
/// which are still being delivered are not forgotten.
pub async fn insert(
    conn: &mut PgConnection,
    schema: Schema,
    consumer: &str,
    events: &[&Event],
) -> Result<HashSet<Uuid>, OutboxError> {
    let sql = format!(
        "insert into {} (consumer, event_id, type, seen_at)
         select $1, event_id, type, now() from unnest($2::uuid[], $3::text[]) as e (event_id, type)
         on conflict (consumer, event_id) do update set seen_at = excluded.seen_at
         returning event_id, xmax = 0",
        schema.table("inbox")
    );
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.as_uuid()).collect();
    let types: Vec<&str> = events.iter().map(|event| event.ty.as_str()).collect();
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(consumer)
        .bind(ids)
        .bind(types)
        .fetch_all(conn)
        .await
        .attempting("insert inbox rows")?;
    let new = rows.into_iter().filter(|(_, new)| *new);
    Ok(new.map(|(id, _)| id).collect())
}

/// Deletes up to a thousand rows of events that were not seen for 30 days.
pub async fn sweep(conn: &mut PgConnection, schema: Schema) -> Result<(), OutboxError> {
    let inbox = schema.table("inbox");
    let sql = format!(
        "delete from {inbox} where ctid = any (array(
             select ctid from {inbox} where seen_at < now() - interval '30 days' limit 1000))"
    );
    sqlx::query(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .attempting("sweep the inbox")?;
    Ok(())
}
