//! Expires reservations that nobody claimed in time.

use std::time::Duration;

use service::{PeriodicTask, Progress, StoreError};

use crate::state::AppState;
use crate::store::reservations;

/// Reservations expired in one transaction.
const BATCH: u64 = 100;

/// The periodic task.
pub struct ReservationSweep(AppState);

impl ReservationSweep {
    pub fn new(app: &AppState) -> Self {
        Self(app.clone())
    }

    /// One batch; how many reservations expired.
    pub async fn once(&self) -> Result<u64, StoreError> {
        let core = &self.0.core;
        let mut tx = core.begin().await?;
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let expired = reservations::expire(&mut tx, core.now(), limit).await?;
        core.commit(tx).await?;
        self.0.metrics.reservations("expired", expired);
        Ok(expired)
    }
}

impl PeriodicTask for ReservationSweep {
    const NAME: &'static str = "reservation_sweep";
    /// A reservation lives at most this much longer than it says.
    const EVERY: Duration = Duration::from_secs(2);

    async fn run(&self) -> Result<Progress, StoreError> {
        Ok(Progress::of_batch(self.once().await?, BATCH))
    }
}
