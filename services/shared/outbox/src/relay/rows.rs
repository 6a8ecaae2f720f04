//! The outbox's statements.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use super::publish::Mark;
use super::receipts::{Expected, Receipt};
use crate::bus::StreamState;
use crate::error::{Doing, OutboxError};
use crate::idempotency;
use crate::schema::Schema;

/// Rows read at once.
const BATCH: i64 = 256;
/// Rows changed by one housekeeping statement.
const BITE: i64 = 1_000;

/// A row that waits to be published.
#[derive(Debug, FromRow)]
pub struct Pending {
    pub event_id: Uuid,
    #[sqlx(rename = "type")]
    pub ty: String,
    pub aggregate: String,
    pub body: String,
    pub traceparent: Option<String>,
    pub attempts: i32,
}

/// From here on, commits of this connection do not wait for the disk. It writes bookkeeping only: a
/// mark or a receipt that a crash of the server takes back is a repetition, which the inboxes bear.
pub async fn relax(conn: &mut PgConnection) -> Result<(), OutboxError> {
    sqlx::query("set synchronous_commit = off")
        .execute(conn)
        .await
        .doing("relax the relay's commits")?;
    Ok(())
}

pub async fn pending(conn: &mut PgConnection, schema: Schema) -> Result<Vec<Pending>, OutboxError> {
    let sql = format!(
        "select event_id, type, aggregate, body::text as body, traceparent, attempts
         from {} where published_at is null and done_at is null order by position limit {BATCH}",
        schema.table("outbox")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .fetch_all(conn)
        .await
        .doing("read the outbox")
}

pub async fn mark(
    conn: &mut PgConnection,
    schema: Schema,
    created: DateTime<Utc>,
    marks: &[Mark],
) -> Result<(), OutboxError> {
    if marks.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "update {} as o
         set published_at = now(), attempts = attempts + 1, stream_created = $1,
             stream_seq = m.seq, done_at = case when m.unheard then now() else o.done_at end
         from unnest($2::uuid[], $3::bigint[], $4::boolean[]) as m(event_id, seq, unheard)
         where o.event_id = m.event_id",
        schema.table("outbox")
    );
    let ids: Vec<Uuid> = marks.iter().map(|mark| mark.event_id).collect();
    let seqs: Vec<i64> = marks.iter().map(|mark| mark.seq).collect();
    let unheard: Vec<bool> = marks.iter().map(|mark| mark.unheard).collect();
    sqlx::query(AssertSqlSafe(sql))
        .bind(created)
        .bind(ids)
        .bind(seqs)
        .bind(unheard)
        .execute(conn)
        .await
        .doing("mark published rows")?;
    Ok(())
}

/// True if a row that somebody still waits for was put into another stream than this one, or
/// further up than this one reaches.
pub async fn went_backwards(
    conn: &mut PgConnection,
    schema: Schema,
    seen: StreamState,
) -> Result<bool, OutboxError> {
    let sql = format!(
        "select exists (
             select from {} where published_at is not null and done_at is null
             and (stream_created <> $1 or stream_seq > $2))",
        schema.table("outbox")
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(seen.created)
        .bind(seen.last_seq)
        .fetch_one(conn)
        .await
        .doing("compare the stream with the outbox")
}

/// Unmarks every row that is not done; returns how many.
pub async fn rewind(conn: &mut PgConnection, schema: Schema) -> Result<u64, OutboxError> {
    let outbox = schema.table("outbox");
    let sql = format!(
        "update {outbox} set published_at = null where event_id = any (array(
             select event_id from {outbox} where published_at is not null and done_at is null
             limit {BITE}))"
    );
    let mut rewound = 0;
    loop {
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .execute(&mut *conn)
            .await
            .doing("rewind the outbox")?
            .rows_affected();
        rewound += rows;
        if rows == 0 {
            return Ok(rewound);
        }
    }
}

/// A published row whose receipts are late.
#[derive(Debug, FromRow)]
pub struct Overdue {
    pub event_id: Uuid,
    #[sqlx(rename = "type")]
    pub ty: String,
    pub receipts: Vec<String>,
    pub stream_seq: i64,
}

pub async fn overdue(
    conn: &mut PgConnection,
    schema: Schema,
    grace: Duration,
) -> Result<Vec<Overdue>, OutboxError> {
    // Up to 128 times the grace: with 30 s, about an hour.
    let sql = format!(
        "select event_id, type, receipts, coalesce(stream_seq, 0) as stream_seq from {}
         where published_at is not null and done_at is null
         and published_at < now() - make_interval(secs => $1 * (1 << least(attempts, 8) - 1))
         order by published_at limit {BATCH}",
        schema.table("outbox")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(grace.as_secs_f64())
        .fetch_all(conn)
        .await
        .doing("read overdue rows")
}

/// Overdue rows are either given back to the publisher, or left alone for longer.
pub async fn settle(
    conn: &mut PgConnection,
    schema: Schema,
    again: &[Uuid],
    wait: &[Uuid],
) -> Result<(), OutboxError> {
    let sql = format!(
        "update {} set published_at = case when event_id = any ($1) then null else now() end,
             attempts = attempts + 1
         where (event_id = any ($1) or event_id = any ($2)) and done_at is null",
        schema.table("outbox")
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(again)
        .bind(wait)
        .execute(conn)
        .await
        .doing("settle overdue rows")?;
    Ok(())
}

/// Records receipts; a row is done when every consumer of its type has sent one.
pub async fn receipt(
    conn: &mut PgConnection,
    schema: Schema,
    expected: &[Expected],
    receipts: &[Receipt],
) -> Result<(), OutboxError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "with came as (
             select event_id, array_agg(distinct consumer) as consumers
             from unnest($1::uuid[], $2::text[]) as r(event_id, consumer) group by event_id
         ), merged as (
             select o.event_id, o.type,
                    array(select distinct unnest(o.receipts || came.consumers)) as receipts
             from {outbox} as o join came using (event_id) where o.done_at is null
         )
         update {outbox} as o
         set receipts = merged.receipts,
             done_at = case when string_to_array(e.consumers, ',') <@ merged.receipts
                            then now() end
         from merged left join unnest($3::text[], $4::text[]) as e(type, consumers) using (type)
         where o.event_id = merged.event_id",
        outbox = schema.table("outbox")
    );
    let ids: Vec<Uuid> = receipts.iter().map(|receipt| receipt.event_id).collect();
    let consumers: Vec<&str> = receipts
        .iter()
        .map(|receipt| receipt.consumer.as_str())
        .collect();
    let types: Vec<&str> = expected.iter().map(|expected| expected.ty).collect();
    let lists: Vec<&str> = expected
        .iter()
        .map(|expected| expected.consumers.as_str())
        .collect();
    sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .bind(consumers)
        .bind(types)
        .bind(lists)
        .execute(conn)
        .await
        .doing("record receipts")?;
    Ok(())
}

/// What the gauges show.
#[derive(Debug, FromRow)]
pub struct Backlog {
    pub pending: i64,
    pub unreceipted: i64,
    pub oldest_age_secs: f64,
}

pub async fn backlog(conn: &mut PgConnection, schema: Schema) -> Result<Backlog, OutboxError> {
    // One subquery per partial index: the table holds a week of rows that are done.
    let sql = format!(
        "select waiting.pending, heard.unreceipted, waiting.oldest_age_secs
         from (select count(*) as pending,
                      greatest(coalesce(extract(epoch from now() - min(created_at)), 0), 0)::float8
                          as oldest_age_secs
               from {outbox} where published_at is null and done_at is null) as waiting,
              (select count(*) as unreceipted
               from {outbox} where published_at is not null and done_at is null) as heard",
        outbox = schema.table("outbox")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .fetch_one(conn)
        .await
        .doing("measure the outbox")
}

/// Deletes some of what nobody needs any more; the rest waits for the next round.
pub async fn sweep(
    conn: &mut PgConnection,
    schema: Schema,
    keep: Duration,
) -> Result<(), OutboxError> {
    let outbox = schema.table("outbox");
    let sql = format!(
        "delete from {outbox} where event_id = any (array(
             select event_id from {outbox}
             where done_at < now() - make_interval(secs => $1) limit {BITE}))"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(keep.as_secs_f64())
        .execute(&mut *conn)
        .await
        .doing("sweep the outbox")?;
    let (has_keys, now): (bool, DateTime<Utc>) =
        sqlx::query_as("select to_regclass($1) is not null, now()")
            .bind(schema.table("idempotency_keys"))
            .fetch_one(&mut *conn)
            .await
            .doing("look for idempotency keys")?;
    if has_keys {
        idempotency::sweep(conn, schema, now).await?;
    }
    Ok(())
}
