//! The inbox of notifications.

use chrono::{DateTime, TimeDelta, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;

/// Deliveries of a notification are recognised for this long.
const KEEP: TimeDelta = TimeDelta::days(30);

/// Records a notification. False if it was received before.
pub(super) async fn receive(
    conn: &mut PgConnection,
    provider: &str,
    event_id: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into payment.notifications (provider, event_id, received_at) values ($1, $2, $3)
         on conflict do nothing",
        provider,
        event_id,
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("receive notification"))?;
    Ok(done.rows_affected() == 1)
}

/// Forgets up to `limit` notifications that are not delivered again; how many it was.
pub(super) async fn sweep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from payment.notifications where ctid = any (array(
             select ctid from payment.notifications where received_at < $1 order by received_at limit $2))",
        now - KEEP,
        limit,
    )
    .execute(conn)
    .await
    .map_err(failed("sweep notifications"))?;
    Ok(done.rows_affected())
}
