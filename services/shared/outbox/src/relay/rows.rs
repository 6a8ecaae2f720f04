//! The outbox's statements.

use std::time::Duration;

use bus::{Position, Published, StreamState};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use super::receipts::{Expected, Receipt};
use crate::error::{Attempting, OutboxError};
use crate::idempotency;
use crate::schema::Schema;

/// Rows read at once.
pub const BATCH: usize = 256;
/// Rows changed by one housekeeping statement.
const CHUNK: i64 = 1_000;

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
/// mark or a receipt that a crash of the server takes back is a repetition, which the inboxes ignore.
pub async fn commit_asynchronously(conn: &mut PgConnection) -> Result<(), OutboxError> {
    sqlx::query("set synchronous_commit = off")
        .execute(conn)
        .await
        .attempting("disable synchronous commit")?;
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
        .attempting("read the outbox")
}

/// A row that the bus has stored.
#[derive(Debug)]
pub struct Mark {
    pub event_id: Uuid,
    pub published: Published,
    /// The type has no consumers: the row is done.
    pub unconsumed: bool,
}

pub async fn mark(
    conn: &mut PgConnection,
    schema: Schema,
    stream_id: &str,
    marks: &[Mark],
) -> Result<(), OutboxError> {
    if marks.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "update {} as o
         set published_at = now(), attempts = attempts + 1, stream_id = $1,
             stream_partition = m.partition, stream_seq = m.seq,
             done_at = case when m.unconsumed then now() else o.done_at end
         from unnest($2::uuid[], $3::integer[], $4::bigint[], $5::boolean[])
             as m (event_id, partition, seq, unconsumed)
         where o.event_id = m.event_id",
        schema.table("outbox")
    );
    let ids: Vec<Uuid> = marks.iter().map(|mark| mark.event_id).collect();
    let (partitions, seqs) = columns(marks.iter().map(|mark| mark.published.position));
    let unconsumed: Vec<bool> = marks.iter().map(|mark| mark.unconsumed).collect();
    sqlx::query(AssertSqlSafe(sql))
        .bind(stream_id)
        .bind(ids)
        .bind(partitions)
        .bind(seqs)
        .bind(unconsumed)
        .execute(conn)
        .await
        .attempting("mark published rows")?;
    Ok(())
}

fn columns(positions: impl Iterator<Item = Position>) -> (Vec<i32>, Vec<i64>) {
    positions.map(|at| (at.partition, at.offset)).unzip()
}

/// True if a row that is not done was published to another stream than this one, or further up than
/// this one reaches. Rows that an older build published have no stream id: their position decides.
pub async fn went_backwards(
    conn: &mut PgConnection,
    schema: Schema,
    seen: &StreamState,
) -> Result<bool, OutboxError> {
    let sql = format!(
        "select exists (
             select from {} as o
             left join unnest($2::integer[], $3::bigint[]) as last (partition, seq)
                 on last.partition = o.stream_partition
             where o.published_at is not null and o.done_at is null
               and (o.stream_id <> $1 or o.stream_seq > coalesce(last.seq, -1)))",
        schema.table("outbox")
    );
    let (partitions, seqs) = columns(seen.last.iter());
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(&seen.id)
        .bind(partitions)
        .bind(seqs)
        .fetch_one(conn)
        .await
        .attempting("compare the stream with the outbox")
}

/// Unmarks every row that is not done; returns how many.
pub async fn rewind(conn: &mut PgConnection, schema: Schema) -> Result<u64, OutboxError> {
    let outbox = schema.table("outbox");
    let sql = format!(
        "update {outbox} set published_at = null where event_id = any (array(
             select event_id from {outbox} where published_at is not null and done_at is null
             limit {CHUNK}))"
    );
    let mut rewound = 0;
    loop {
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .execute(&mut *conn)
            .await
            .attempting("rewind the outbox")?
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
    pub stream_partition: i32,
    pub stream_seq: i64,
}

impl Overdue {
    /// Where it was published to.
    pub fn position(&self) -> Position {
        Position {
            partition: self.stream_partition,
            offset: self.stream_seq,
        }
    }
}

pub async fn overdue(
    conn: &mut PgConnection,
    schema: Schema,
    grace: Duration,
) -> Result<Vec<Overdue>, OutboxError> {
    // Up to 128 times the grace: with 30 s, about an hour.
    let sql = format!(
        "select event_id, type, receipts, stream_partition, coalesce(stream_seq, 0) as stream_seq
         from {}
         where published_at is not null and done_at is null
         and published_at < now() - make_interval(secs => $1 * (1 << least(attempts, 8) - 1))
         order by published_at limit {BATCH}",
        schema.table("outbox")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(grace.as_secs_f64())
        .fetch_all(conn)
        .await
        .attempting("read overdue rows")
}

/// Overdue rows are either published again, or given more time.
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
        .attempting("settle overdue rows")?;
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
        .attempting("record receipts")?;
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
        "select waiting.pending, published.unreceipted, waiting.oldest_age_secs
         from (select count(*) as pending,
                      greatest(coalesce(extract(epoch from now() - min(created_at)), 0), 0)::float8
                          as oldest_age_secs
               from {outbox} where published_at is null and done_at is null) as waiting,
              (select count(*) as unreceipted
               from {outbox} where published_at is not null and done_at is null) as published",
        outbox = schema.table("outbox")
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .fetch_one(conn)
        .await
        .attempting("measure the outbox")
}

/// Deletes a bounded number of old rows; the rest waits for the next check.
pub async fn sweep(
    conn: &mut PgConnection,
    schema: Schema,
    keep: Duration,
) -> Result<(), OutboxError> {
    let outbox = schema.table("outbox");
    let sql = format!(
        "delete from {outbox} where event_id = any (array(
             select event_id from {outbox}
             where done_at < now() - make_interval(secs => $1) limit {CHUNK}))"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(keep.as_secs_f64())
        .execute(&mut *conn)
        .await
        .attempting("sweep the outbox")?;
    let (has_keys, now): (bool, DateTime<Utc>) =
        sqlx::query_as("select to_regclass($1) is not null, now()")
            .bind(schema.table("idempotency_keys"))
            .fetch_one(&mut *conn)
            .await
            .attempting("look for idempotency keys")?;
    if has_keys {
        idempotency::sweep(conn, schema, now).await?;
    }
    Ok(())
}
