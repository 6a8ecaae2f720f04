//! Periodic tasks: counts the backlog, gives up abandoned messages, removes old ones.

use std::time::Duration;

use chrono::TimeDelta;
use service::{PeriodicTask, Progress, StoreError};

use super::store;
use crate::state::AppState;

/// Sent messages are kept this long, for questions about them.
const KEEP_DAYS: i64 = 90;
/// Messages removed by one statement.
const BATCH: i64 = 500;

/// Gives up messages whose last attempt ended without a result, and counts the backlog.
pub struct BacklogCount {
    app: AppState,
}

impl BacklogCount {
    /// The task of a process.
    pub fn new(app: &AppState) -> Self {
        Self { app: app.clone() }
    }
}

impl PeriodicTask for BacklogCount {
    const NAME: &'static str = "backlog count";
    const EVERY: Duration = Duration::from_secs(5);

    async fn run(&self) -> Result<Progress, StoreError> {
        let (core, metrics) = (&self.app.core, &self.app.metrics);
        let now = core.now();
        let mut conn = core.acquire().await?;
        let abandoned = store::give_up_abandoned(&mut conn, now).await?;
        metrics
            .died
            .with_label_values(&["abandoned"])
            .inc_by(abandoned);
        let backlog = store::backlog(&mut conn).await?;
        let age = backlog
            .oldest
            .map_or(0, |oldest| (now - oldest).num_seconds().max(0));
        metrics.waiting.set(backlog.waiting);
        metrics.dead.set(backlog.dead);
        metrics.oldest_age.set(age);
        Ok(Progress::Done)
    }
}

/// Removes messages that were sent long ago: they contain what people bought.
pub struct MessageSweep {
    app: AppState,
}

impl MessageSweep {
    /// The task of a process.
    pub fn new(app: &AppState) -> Self {
        Self { app: app.clone() }
    }
}

impl PeriodicTask for MessageSweep {
    const NAME: &'static str = "message sweep";
    const EVERY: Duration = Duration::from_secs(3600);

    async fn run(&self) -> Result<Progress, StoreError> {
        let before = self.app.core.now() - TimeDelta::days(KEEP_DAYS);
        let mut conn = self.app.core.acquire().await?;
        let removed = store::sweep(&mut conn, before, BATCH).await?;
        Ok(Progress::of_batch(removed, BATCH.unsigned_abs()))
    }
}
