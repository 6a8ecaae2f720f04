//! The periodic tasks: drives checkouts that nobody drives, because their driver crashed or a service was unavailable, and those
//! that wait for a payment.

use std::time::Duration;

use futures::future::join_all;
use service::{PeriodicTask, Progress, StoreError};

use crate::checkout::commit::{DriveError, LEASE};
use crate::checkout::domain::Checkout;
use crate::checkout::drive::drive;
use crate::checkout::store::checkouts;
use crate::state::AppState;

/// Checkouts driven side by side; more of them wait for the next batch.
const BATCH: i64 = 8;

/// Takes over one batch of due checkouts and drives each as far as it goes; how many it was.
pub async fn resume_some(app: &AppState) -> Result<u64, StoreError> {
    let now = app.core.now();
    let mut conn = app.core.acquire().await?;
    let due = checkouts::take_due(&mut conn, BATCH, now, now + LEASE).await?;
    drop(conn);
    let taken = u64::try_from(due.len()).unwrap_or(u64::MAX);
    app.metrics.resumed.inc_by(taken);
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

/// Resumes due checkouts.
pub struct ResumeCheckouts(pub AppState);

impl PeriodicTask for ResumeCheckouts {
    const NAME: &'static str = "resume checkouts";
    const EVERY: Duration = Duration::from_secs(1);

    async fn run(&self) -> Result<Progress, StoreError> {
        let resumed = resume_some(&self.0).await?;
        Ok(Progress::of_batch(resumed, BATCH.unsigned_abs()))
    }
}

/// Sets the gauges of open checkouts.
pub struct CountOpenCheckouts(pub AppState);

impl PeriodicTask for CountOpenCheckouts {
    const NAME: &'static str = "count open checkouts";
    const EVERY: Duration = Duration::from_secs(5);

    async fn run(&self) -> Result<Progress, StoreError> {
        count(&self.0).await?;
        Ok(Progress::Done)
    }
}

/// Sets the gauges of open checkouts.
pub async fn count(app: &AppState) -> Result<(), StoreError> {
    let mut conn = app.core.acquire().await?;
    let open = checkouts::count_open(&mut conn).await?;
    let age = open
        .oldest
        .map_or(0, |at| (app.core.now() - at).num_seconds().max(0));
    app.metrics.open.set(open.running);
    app.metrics.awaiting_payment.set(open.awaiting_payment);
    app.metrics.oldest_open.set(age);
    Ok(())
}
