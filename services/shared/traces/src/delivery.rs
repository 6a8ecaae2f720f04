//! From the queue to the collector, batch by batch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::exporter::{ExporterOptions, Outcomes};
use crate::otlp;
use crate::post::{Post, PostError};
use crate::span::Record;

/// What is lost is said in the log this often, at most.
const COMPLAINT: Duration = Duration::from_secs(60);

/// The work of delivering. It holds up nobody: what it cannot deliver is dropped and counted.
#[derive(Debug)]
pub struct Delivery {
    pub(crate) waiting: mpsc::Receiver<Box<Record>>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) post: Post,
    pub(crate) resource: Resource,
    pub(crate) options: ExporterOptions,
    pub(crate) outcomes: Outcomes,
    pub(crate) complaint: Complaint,
}

/// What the log was told last.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    at: Option<Instant>,
    dropped: u64,
}

impl Delivery {
    /// Delivers until told to stop, and then what still waits, each batch once. Whoever stops it bounds
    /// how long that may take.
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
            self.complain(failure.as_ref());
            if is_last {
                return;
            }
        }
    }

    /// Sends one batch, again and again if that may help. Meanwhile the queue fills up, and overflows.
    async fn deliver(
        &mut self,
        batch: Vec<Record>,
        stop: &CancellationToken,
    ) -> Result<(), PostError> {
        let spans = batch.len() as u64;
        let body = Bytes::from(otlp::request(batch, &self.resource));
        let mut pause = self.options.pause;
        let mut tries_left = self.options.tries;
        loop {
            tries_left = tries_left.saturating_sub(1);
            let error = match self.post.send(body.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(spans);
                    self.outcomes.rejected.inc_by(rejected);
                    self.outcomes.exported.inc_by(spans - rejected);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !error.may_pass() {
                self.outcomes.rejected.inc_by(spans);
                return Err(error);
            }
            if tries_left == 0 || stop.is_cancelled() {
                self.outcomes.failed.inc_by(spans);
                return Err(error);
            }
            self.complain(Some(&error));
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
            }
            pause *= 2;
        }
    }

    /// Says what was lost and why, once a minute at most.
    fn complain(&mut self, failure: Option<&PostError>) {
        let dropped = self.outcomes.dropped() - self.complaint.dropped;
        let is_quiet = self.complaint.at.is_some_and(|at| at.elapsed() < COMPLAINT);
        if is_quiet || (failure.is_none() && dropped == 0) {
            return;
        }
        self.complaint = Complaint {
            at: Some(Instant::now()),
            dropped: self.outcomes.dropped(),
        };
        if let Some(error) = failure {
            let error = crate::chain(error);
            tracing::warn!(error, dropped, "spans were not delivered");
        } else {
            tracing::warn!(dropped, "spans came faster than they were delivered");
        }
    }
}
