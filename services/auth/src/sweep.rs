//! Removes sessions whose time is over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::AppState;
use crate::store::{StoreError, failed, sessions};

const EVERY: Duration = Duration::from_secs(600);
/// Small, so that no statement holds many locks.
const BATCH: i64 = 500;

/// Sweeps every ten minutes until shutdown.
pub async fn run(app: AppState, stop: CancellationToken) {
    loop {
        if let Err(error) = once(&app).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "expired sessions were not removed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Removes all that has expired, batch by batch; returns how much that was.
pub async fn once(app: &AppState) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
        let swept = sessions::sweep(&mut conn, app.clock.now(), BATCH).await?;
        app.metrics.swept.inc_by(swept);
        total += swept;
        if swept == 0 {
            return Ok(total);
        }
    }
}
