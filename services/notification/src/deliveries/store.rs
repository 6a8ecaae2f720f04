//! Messages: `notification.messages`.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::{EventId, MessageId};

use super::retry::{MAX_ATTEMPTS, Next};

/// Channel of the notification that a message was queued.
pub const QUEUED: &str = "notification_queued";

/// A message to be stored.
pub struct NewMessage<'a> {
    pub id: MessageId,
    /// The event that caused it.
    pub event_id: EventId,
    pub template: &'static str,
    pub locale: &'static str,
    pub recipient: &'a str,
    pub subject: String,
    pub body_text: String,
    pub body_html: String,
    pub created_at: DateTime<Utc>,
}

/// A message that only this process may send, until its claim expires.
pub struct Claimed {
    pub id: MessageId,
    pub template: String,
    pub recipient: String,
    pub subject: String,
    pub body_text: String,
    pub body_html: String,
    /// Number of this attempt, from 1; identifies the claim.
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
}

/// A message without its text.
pub struct Listed {
    pub id: MessageId,
    /// The event that caused it.
    pub event_id: EventId,
    pub template: String,
    pub locale: String,
    pub recipient: String,
    pub subject: String,
    /// queued, sending, sent or dead.
    pub status: String,
    /// Attempts since it was queued.
    pub attempts: i32,
    /// Earliest next attempt, or expiry of the claim.
    pub due_at: DateTime<Utc>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
}

/// Stores a message and wakes the sender, unless the event has caused it before; true if stored.
pub async fn insert_once(
    conn: &mut PgConnection,
    new: &NewMessage<'_>,
) -> Result<bool, StoreError> {
    let notified = sqlx::query!(
        "with stored as (
             insert into notification.messages (message_id, event_id, template, locale, recipient,
                 subject, body_text, body_html, due_at, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
             on conflict on constraint messages_once do nothing
             returning message_id
         )
         select pg_notify($10, '') from stored",
        new.id.as_uuid(),
        new.event_id.as_uuid(),
        new.template,
        new.locale,
        new.recipient,
        new.subject,
        new.body_text,
        new.body_html,
        new.created_at,
        QUEUED,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("insert message"))?;
    Ok(notified.is_some())
}

/// Claims due messages for this process until `until`, oldest first. A claim that expired without a result
/// (its process was killed) is claimed again.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    sqlx::query_as!(
        Claimed,
        r#"update notification.messages
           set status = 'sending', attempts = attempts + 1, due_at = $2
           where message_id in (
               select message_id from notification.messages
               where status in ('queued', 'sending') and due_at <= $1 and attempts < $4
               order by due_at limit $3 for update skip locked)
           returning message_id as "id: MessageId", template, recipient, subject, body_text,
               body_html, attempts, created_at"#,
        now,
        until,
        limit,
        MAX_ATTEMPTS,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("claim messages"))
}

/// Gives up messages whose last allowed attempt expired without a result; returns how many.
pub async fn give_up_abandoned(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update notification.messages
         set status = 'dead', last_error = coalesce(last_error, 'the sender was killed during the attempt')
         where status = 'sending' and due_at <= $1 and attempts >= $2",
        now,
        MAX_ATTEMPTS,
    )
    .execute(conn)
    .await
    .map_err(failed("give up abandoned messages"))?;
    Ok(done.rows_affected())
}

/// A message that the mail server accepted.
pub struct Sent {
    pub id: MessageId,
    /// The number of the attempt.
    pub attempt: i32,
    pub at: DateTime<Utc>,
}

/// Records accepted messages; returns how many: the claims of the others had expired before. The arrays are
/// wrapped in a `select`, so that the statement is not planned again for each length.
pub async fn mark_sent(conn: &mut PgConnection, sent: &[Sent]) -> Result<usize, StoreError> {
    let ids: Vec<_> = sent.iter().map(|sent| sent.id.as_uuid()).collect();
    let attempts: Vec<_> = sent.iter().map(|sent| sent.attempt).collect();
    let times: Vec<_> = sent.iter().map(|sent| sent.at).collect();
    let done = sqlx::query!(
        "update notification.messages as m set status = 'sent', sent_at = s.at, last_error = null
         from unnest((select $1::uuid[]), (select $2::integer[]), (select $3::timestamptz[]))
             as s (message_id, attempts, at)
         where m.message_id = s.message_id and m.attempts = s.attempts and m.status = 'sending'",
        &ids,
        &attempts,
        &times,
    )
    .execute(conn)
    .await
    .map_err(failed("mark messages sent"))?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// Records a failed attempt and what follows; false if its claim had expired before.
pub async fn mark_failed(
    conn: &mut PgConnection,
    id: MessageId,
    attempt: i32,
    error: &str,
    next: Next,
) -> Result<bool, StoreError> {
    let (status, due_at) = match next {
        Next::Retry(at) => ("queued", Some(at)),
        Next::Dead => ("dead", None),
    };
    let done = sqlx::query!(
        "update notification.messages
         set status = $3, due_at = coalesce($4, due_at), last_error = $5
         where message_id = $1 and attempts = $2 and status = 'sending'",
        id.as_uuid(),
        attempt,
        status,
        due_at,
        error,
    )
    .execute(conn)
    .await
    .map_err(failed("mark message failed"))?;
    Ok(done.rows_affected() == 1)
}

/// Queues a dead message again with all its attempts, and wakes the sender; false if it is not dead.
pub async fn requeue(
    conn: &mut PgConnection,
    id: MessageId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let notified = sqlx::query!(
        "with requeued as (
             update notification.messages set status = 'queued', attempts = 0, due_at = $2
             where message_id = $1 and status = 'dead'
             returning message_id
         )
         select pg_notify($3, '') from requeued",
        id.as_uuid(),
        now,
        QUEUED,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("requeue message"))?;
    Ok(notified.is_some())
}

/// One message.
pub async fn find(conn: &mut PgConnection, id: MessageId) -> Result<Option<Listed>, StoreError> {
    sqlx::query_as!(
        Listed,
        r#"select message_id as "id: MessageId", event_id as "event_id: EventId", template, locale,
               recipient, subject, status, attempts, due_at, last_error, created_at, sent_at
           from notification.messages where message_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find message"))
}

/// Messages, newest first: all or of one status, from `before` on.
pub async fn list(
    conn: &mut PgConnection,
    status: Option<&str>,
    before: Option<MessageId>,
    rows: i64,
) -> Result<Vec<Listed>, StoreError> {
    sqlx::query_as!(
        Listed,
        r#"select message_id as "id: MessageId", event_id as "event_id: EventId", template, locale,
               recipient, subject, status, attempts, due_at, last_error, created_at, sent_at
           from notification.messages
           where ($1::text is null or status = $1) and ($2::uuid is null or message_id < $2)
           order by message_id desc limit $3"#,
        status,
        before.map(|id| id.as_uuid()),
        rows,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("list messages"))
}

/// The messages that are not sent.
pub struct Backlog {
    /// Queued or being sent.
    pub waiting: i64,
    /// Given up after the last attempt.
    pub dead: i64,
    /// Creation of the oldest waiting message.
    pub oldest: Option<DateTime<Utc>>,
}

/// Counts the messages that are not sent.
pub async fn backlog(conn: &mut PgConnection) -> Result<Backlog, StoreError> {
    sqlx::query_as!(
        Backlog,
        r#"select count(*) filter (where status <> 'dead') as "waiting!",
                  count(*) filter (where status = 'dead') as "dead!",
                  min(created_at) filter (where status <> 'dead') as oldest
           from notification.messages where status in ('queued', 'sending', 'dead')"#,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("count backlog"))
}

/// Removes up to `limit` messages that were sent before `before`; returns how many.
pub async fn sweep(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.messages where message_id in (
             select message_id from notification.messages
             where status = 'sent' and sent_at < $1 order by sent_at limit $2
             for update skip locked)",
        before,
        limit,
    )
    .execute(conn)
    .await
    .map_err(failed("sweep messages"))?;
    Ok(done.rows_affected())
}
