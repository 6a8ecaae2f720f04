//! Removes expired sessions and refresh tokens.

use std::time::Duration;

use service::{PeriodicTask, Progress, StoreError};

use super::store;
use crate::state::AppState;

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
        let removed = store::sweep(&mut conn, self.app.core.now(), BATCH).await?;
        self.app.metrics.swept.inc_by(removed);
        Ok(if removed == 0 {
            Progress::Done
        } else {
            Progress::More
        })
    }
}
