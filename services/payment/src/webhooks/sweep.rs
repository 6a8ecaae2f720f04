//! Forgets old notifications.

use std::time::Duration;

use service::{PeriodicTask, Progress, StoreError};

use super::store;
use crate::state::AppState;

const BATCH: i64 = 1_000;

/// Deletes notifications that the provider does not deliver again.
pub struct NotificationSweep {
    app: AppState,
}

impl NotificationSweep {
    pub fn new(app: AppState) -> Self {
        Self { app }
    }
}

impl PeriodicTask for NotificationSweep {
    const NAME: &'static str = "notification_sweep";
    const EVERY: Duration = Duration::from_secs(3600);

    async fn run(&self) -> Result<Progress, StoreError> {
        let mut conn = self.app.core.acquire().await?;
        let swept = store::sweep(&mut conn, self.app.core.now(), BATCH).await?;
        Ok(Progress::of_batch(swept, BATCH.unsigned_abs()))
    }
}
