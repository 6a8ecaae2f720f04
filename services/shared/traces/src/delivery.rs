//! From the queue to the collector, in batches.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::collector::{Collector, CollectorError};
use crate::options::ExporterOptions;
use crate::otlp;
use crate::outcomes::Outcomes;
use crate::record::Record;

/// Lost spans are logged at most once in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Delivers spans; those that it cannot deliver are dropped and counted.
#[derive(Debug)]
pub struct Delivery {
    pub(crate) waiting: mpsc::Receiver<Box<Record>>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) collector: Collector,
    pub(crate) resource: Resource,
    pub(crate) options: ExporterOptions,
    pub(crate) outcomes: Outcomes,
    pub(crate) reported: Reported,
}

/// What was last logged.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    at: Option<Instant>,
    dropped: u64,
}

impl Delivery {
    /// Delivers until `stop`, and then what is left in the queue, each batch once. The caller limits how long
    /// that may take.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut due = interval(self.options.delay);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = due.tick() => {}
                () = self.wake.notified() => {}
                () = stop.cancelled() => {}
            }
            self.deliver_all(&stop).await;
            if stop.is_cancelled() {
                return;
            }
        }
    }

    async fn deliver_all(&mut self, stop: &CancellationToken) {
        loop {
            let mut batch = Vec::new();
            while batch.len() < self.options.batch
                && let Ok(record) = self.waiting.try_recv()
            {
                batch.push(*record);
            }
            let is_last = batch.len() < self.options.batch;
            let failure = if batch.is_empty() {
                None
            } else {
                self.deliver(batch, stop).await.err()
            };
            self.report(failure.as_ref());
            if is_last {
                return;
            }
        }
    }

    /// Sends one batch, with retries where they may help. Meanwhile the queue may overflow.
    async fn deliver(
        &mut self,
        batch: Vec<Record>,
        stop: &CancellationToken,
    ) -> Result<(), CollectorError> {
        let spans = batch.len() as u64;
        let body = Bytes::from(otlp::request(batch, &self.resource));
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(self.options.pause)
            .with_factor(2.0)
            .without_max_delay()
            .with_max_times(self.options.tries.saturating_sub(1))
            .build();
        loop {
            let error = match self.collector.send(body.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(spans);
                    self.outcomes.rejected.inc_by(rejected);
                    self.outcomes.exported.inc_by(spans - rejected);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !error.is_temporary() {
                self.outcomes.rejected.inc_by(spans);
                return Err(error);
            }
            let pause = pauses.next().filter(|_| !stop.is_cancelled());
            let Some(pause) = pause else {
                self.outcomes.failed.inc_by(spans);
                return Err(error);
            };
            self.report(Some(&error));
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Logs what was lost and why, at most once a minute.
    fn report(&mut self, failure: Option<&CollectorError>) {
        let dropped = self.outcomes.dropped() - self.reported.dropped;
        let is_quiet = self
            .reported
            .at
            .is_some_and(|at| at.elapsed() < REPORT_INTERVAL);
        if is_quiet || (failure.is_none() && dropped == 0) {
            return;
        }
        self.reported = Reported {
            at: Some(Instant::now()),
            dropped: self.outcomes.dropped(),
        };
        if let Some(error) = failure {
            let error = crate::chain(error);
            tracing::warn!(error, dropped, "failed to export spans");
        } else {
            tracing::warn!(dropped, "spans dropped: the export queue is full");
        }
    }
}
