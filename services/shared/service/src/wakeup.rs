//! Wakes a task when a transaction commits work for it: `NOTIFY` of PostgreSQL.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::Notify;

/// Pause before a failed connection is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

/// A channel of notifications, such as `select pg_notify('notification_queued', '')`. Notifications can be
/// missed while the connection is down: the task that waits for them must poll as well.
pub struct Wakeup {
    pool: PgPool,
    channel: &'static str,
    notify: Notify,
}

impl Wakeup {
    /// A listener on `channel`, with a connection of its own beside those of `pool`.
    pub fn new(pool: &PgPool, channel: &'static str) -> Self {
        let options = pool.connect_options().as_ref().clone();
        Self {
            pool: PgPoolOptions::new()
                .max_connections(1)
                .connect_lazy_with(options),
            channel,
            notify: Notify::new(),
        }
    }

    /// Waits for a notification; returns at once if one arrived since the last call.
    pub async fn notified(&self) {
        self.notify.notified().await;
    }

    /// Listens for ever; run it beside the task that waits.
    pub async fn listen(&self) {
        loop {
            if let Err(error) = self.session().await {
                tracing::warn!(channel = self.channel, %error, "listening failed; reconnecting");
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn session(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(self.channel).await?;
        loop {
            // Also at the start and after a lost connection, which is None: a notification may have been missed.
            self.notify.notify_one();
            listener.try_recv().await?;
        }
    }
}
