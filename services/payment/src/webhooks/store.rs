//! The inbox of notifications.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

/// Deliveries of a notification are recognised for this long.
const KEEP: TimeDelta = TimeDelta::days(30);

/// Records a notification. False if it was received before.
pub(crate) async fn receive(
    conn: &mut PgConnection,
    provider: &str,
    event_id: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into payment.notifications (provider, event_id, received_at) values ($1, $2, $3)
         on conflict do nothing",
        provider,
        event_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets up to a thousand notifications that are not delivered again.
pub(crate) async fn prune(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from payment.notifications where ctid = any (array(
             select ctid from payment.notifications where received_at < $1 order by received_at limit 1000))",
        now - KEEP,
    )
    .execute(pool)
    .await?;
    Ok(())
}
