//! The mail.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use vocabulary::{EventId, MessageId};

use super::{StoreError, failed};
use crate::domain::delivery::{MAX_ATTEMPTS, Next};

/// A message about to be stored.
pub struct NewMessage<'a> {
    /// Its id.
    pub id: MessageId,
    /// What it tells of.
    pub event_id: EventId,
    /// Its kind.
    pub template: &'static str,
    /// Its language.
    pub locale: &'static str,
    /// To whom.
    pub recipient: &'a str,
    /// Subject.
    pub subject: String,
    /// Text part.
    pub body_text: String,
    /// HTML part.
    pub body_html: String,
    /// Now.
    pub created_at: DateTime<Utc>,
}

/// A message that this process may send, until its claim ends.
pub struct Claimed {
    /// Its id.
    pub id: MessageId,
    /// Its kind.
    pub template: String,
    /// To whom.
    pub recipient: String,
    /// Subject.
    pub subject: String,
    /// Text part.
    pub body_text: String,
    /// HTML part.
    pub body_html: String,
    /// Which attempt this is, from 1: also the token of the claim.
    pub attempts: i32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// A message as an administrator sees it.
pub struct Listed {
    /// Its id.
    pub id: MessageId,
    /// What it tells of.
    pub event_id: EventId,
    /// Its kind.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// To whom.
    pub recipient: String,
    /// Subject.
    pub subject: String,
    /// queued, sending, sent or dead.
    pub status: String,
    /// Attempts since it was queued.
    pub attempts: i32,
    /// Not before; or when the claim ends.
    pub due_at: DateTime<Utc>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When the mail server took it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Stores a message unless this event has already told this recipient the same; true if stored.
pub async fn insert_once(
    conn: &mut PgConnection,
    new: &NewMessage<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into notification.messages (message_id, event_id, template, locale, recipient,
             subject, body_text, body_html, due_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         on conflict on constraint messages_once do nothing",
        new.id.as_uuid(),
        new.event_id.as_uuid(),
        new.template,
        new.locale,
        new.recipient,
        new.subject,
        new.body_text,
        new.body_html,
        new.created_at,
    )
    .execute(conn)
    .await
    .map_err(failed("insert message"))?;
    Ok(done.rows_affected() == 1)
}

/// Claims messages that are due, oldest first, for this process alone until `until`. A claim that
/// ended without a word (its process was killed) is claimed again.
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

/// Gives up messages whose last allowed claim ended without a word; returns how many.
pub async fn bury_abandoned(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update notification.messages
         set status = 'dead', last_error = coalesce(last_error, 'the sender died while sending')
         where status = 'sending' and due_at <= $1 and attempts >= $2",
        now,
        MAX_ATTEMPTS,
    )
    .execute(conn)
    .await
    .map_err(failed("bury abandoned messages"))?;
    Ok(done.rows_affected())
}

/// A message that the mail server took.
pub struct Sent {
    /// Its id.
    pub id: MessageId,
    /// At which attempt.
    pub attempt: i32,
    /// When.
    pub at: DateTime<Utc>,
}

/// Notes that the mail server took messages; how many were noted: the rest's claims had ended before.
/// The arrays hide in a `select`, so that the statement is not planned anew for the length of each.
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

/// Notes that a message was not sent, and what happens next.
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

/// Queues a dead message again, with all its attempts; false if it is not dead.
pub async fn revive(
    conn: &mut PgConnection,
    id: MessageId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update notification.messages set status = 'queued', attempts = 0, due_at = $2
         where message_id = $1 and status = 'dead'",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("revive message"))?;
    Ok(done.rows_affected() == 1)
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

/// How much mail waits.
pub struct Backlog {
    /// Queued or being sent.
    pub waiting: i64,
    /// Given up.
    pub dead: i64,
    /// When the oldest that waits was written.
    pub oldest: Option<DateTime<Utc>>,
}

/// Counts what waits and what is dead.
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

/// Removes up to `limit` messages that were sent before `before`: mail holds what people bought and
/// where they live.
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
