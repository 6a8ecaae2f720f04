//! Removes expired sessions, refresh tokens, counters and accounts that nobody confirmed.

use std::time::Duration;

use service::{PeriodicTask, Progress, StoreError};

use super::store;
use crate::accounts::pending_store;
use crate::state::AppState;
use crate::throttle::store as throttles;

/// Rows removed by one statement: few, so that it holds few locks.
const BATCH: i64 = 500;

/// The periodic task.
pub struct SessionSweep {
    app: AppState,
}

impl SessionSweep {
    /// The task of a process.
    pub fn new(app: &AppState) -> Self {
        Self { app: app.clone() }
    }
}

impl PeriodicTask for SessionSweep {
    const NAME: &'static str = "session sweep";
    const EVERY: Duration = Duration::from_secs(600);

    async fn run(&self) -> Result<Progress, StoreError> {
        let mut conn = self.app.core.acquire().await?;
        let now = self.app.core.now();
        let removed = store::sweep(&mut conn, now, BATCH).await?;
        let forgotten = throttles::sweep(&mut conn, now, BATCH).await?;
        let pending = pending_store::sweep(&mut conn, now, BATCH).await?;
        self.app.metrics.swept.inc_by(removed);
        Ok(if removed + forgotten + pending == 0 {
            Progress::Done
        } else {
            Progress::More
        })
    }
}
