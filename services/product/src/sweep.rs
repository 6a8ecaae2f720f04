//! Takes back promises that ran out.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::AppState;
use crate::store::{StoreError, failed, reservations};

/// How often holds are looked at; a hold lives at most this much longer than it says.
const PERIOD: Duration = Duration::from_secs(2);
/// Holds taken back in one transaction.
const BATCH: i64 = 100;

/// Sweeps until told to stop; a database that is away is waited for.
pub async fn run(app: AppState, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(PERIOD))
        .await
        .is_some()
    {
        loop {
            match once(&app).await {
                // A full batch: there may be more.
                Ok(expired) if expired == BATCH.unsigned_abs() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "holds were not swept"
                    );
                    break;
                }
            }
        }
    }
}

/// One batch; how many holds were taken back.
pub async fn once(app: &AppState) -> Result<u64, StoreError> {
    let mut tx = app.pool.begin().await.map_err(failed("begin sweep"))?;
    let expired = reservations::expire(&mut tx, app.clock.now(), BATCH).await?;
    tx.commit().await.map_err(failed("commit sweep"))?;
    app.metrics.reservations("expired", expired);
    Ok(expired)
}
