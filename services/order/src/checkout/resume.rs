//! The periodic job: drives checkouts that nobody drives, because their driver crashed or a service was unavailable, and those
//! that wait for a payment.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::checkout::commit::{DriveError, LEASE};
use crate::checkout::domain::Checkout;
use crate::checkout::drive::drive;
use crate::checkout::store::checkouts;
use crate::state::AppState;
use crate::store::{StoreError, failed};

/// Checkouts driven side by side; more of them wait for the next batch.
const BATCH: i64 = 8;

/// Takes over one batch of due checkouts and drives each as far as it goes; how many it was.
pub async fn resume_some(app: &AppState) -> Result<usize, StoreError> {
    let now = app.clock.now();
    let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
    let due = checkouts::take_due(&mut conn, BATCH, now, now + LEASE).await?;
    drop(conn);
    let taken = due.len();
    let count = u64::try_from(taken).unwrap_or(0);
    app.metrics.resumed.inc_by(count);
    join_all(due.into_iter().map(|checkout| resume_one(app, checkout))).await;
    Ok(taken)
}

async fn resume_one(app: &AppState, checkout: Checkout) {
    let (id, traceparent) = (checkout.id, checkout.traceparent.clone());
    let drive = drive(app, checkout);
    let driven = chassis::trace::continued("checkout resumed", traceparent.as_deref(), drive).await;
    match driven {
        Ok(_) => {}
        Err(DriveError::Store(StoreError::Stale(_))) => {
            tracing::info!(checkout = %id, "checkout lease held by another worker");
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(checkout = %id, error, "failed to resume a checkout");
        }
    }
}

/// Due checkouts are looked for this often.
const EVERY: Duration = Duration::from_secs(1);
/// Open checkouts are counted this often.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Resumes checkouts until shutdown; an unavailable database is retried.
pub async fn run(app: AppState, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counted: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = resume_all(&app, &stop).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "failed to resume due checkouts");
        }
        if counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            counted = Some(Instant::now());
            if let Err(error) = count(&app).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "failed to count open checkouts");
            }
        }
    }
}

async fn resume_all(app: &AppState, stop: &CancellationToken) -> Result<(), StoreError> {
    while !stop.is_cancelled() && resume_some(app).await? >= usize::try_from(BATCH).unwrap_or(1) {}
    Ok(())
}

/// Sets the gauges of open checkouts.
pub async fn count(app: &AppState) -> Result<(), StoreError> {
    let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
    let open = checkouts::count_open(&mut conn).await?;
    let age = open
        .oldest
        .map_or(0, |at| (app.clock.now() - at).num_seconds().max(0));
    app.metrics.open.set(open.all);
    app.metrics.awaiting_payment.set(open.awaiting_payment);
    app.metrics.oldest_open.set(age);
    Ok(())
}
