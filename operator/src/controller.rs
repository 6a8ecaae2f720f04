//! The workers of one kind: take a key, reconcile it, schedule the next time. Bounded in number and time.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kube::Resource;
use kube::core::ObjectMeta;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::next::Next;
use crate::queue::{Priority, Queue};
use kube_cache::Key;

/// Longest time of one reconciliation; the client's own retries must not eat a worker.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Time between two routine reconciliations, for what depends on time (certificates, signing keys) and
/// against missed events. Up to a quarter is added by name, so that objects listed together do not come
/// back together.
const RESYNC: Duration = Duration::from_secs(600);
/// Longest wait after a refusal: whoever mends the cause (a quota, a right, an object in the way) changes
/// nothing that is watched.
pub const REFUSED: Duration = Duration::from_secs(45);
/// Wait after a write conflict: the watch brings the newer version within moments.
const STALE: Duration = Duration::from_millis(300);
/// Changes of children are collected for this long.
pub const DEBOUNCE: Duration = Duration::from_millis(100);

/// Which object a key stands for now; for backoff.
pub struct Identity {
    /// Uid of the object.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
}

impl Identity {
    /// Of an object.
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::of_metadata(object.meta())
    }

    /// Of an object's metadata.
    pub fn of_metadata(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
        }
    }
}

/// What a controller does with one object.
pub trait Reconciler: Send + Sync + 'static {
    /// Which object it is now; `None` when it is gone.
    fn identity(&self, key: &Key) -> Option<Identity>;

    /// Makes the cluster as the object says, as far as that is possible now.
    fn reconcile(&self, key: &Key) -> impl Future<Output = Result<Next, Error>> + Send;

    /// Reports a failure on the object itself, where that is possible.
    fn failed(&self, key: &Key, error: &Error) -> impl Future<Output = ()> + Send;

    /// Forgets an object that is gone.
    fn forget(&self, key: &Key);
}

/// One kind's workers.
pub struct Controller<R> {
    /// Reconciles one object.
    pub reconciler: R,
    /// The queue of keys.
    pub queue: Arc<Queue>,
    /// How many there are.
    pub workers: usize,
    /// How long failed objects wait.
    pub backoff: Backoff,
    /// The operator's series.
    pub metrics: Metrics,
}

impl<R: Reconciler> Controller<R> {
    /// Works until the token is cancelled. Reconciliations under way are aborted then: that is safe at
    /// any point, and nothing may be written once the Lease is lost.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let name = self.queue.name();
        let workers = i64::try_from(self.workers).unwrap_or(i64::MAX);
        self.metrics
            .max_concurrent
            .with_label_values(&[name])
            .set(workers);
        self.metrics.announce(name);
        let all = (0..self.workers).map(|_| self.work());
        tokio::select! {
            () = stop.cancelled() => self.queue.close(),
            _ = futures::future::join_all(all) => {}
        }
    }

    async fn work(&self) {
        while let Some(key) = self.queue.next().await {
            let active = self
                .metrics
                .active_workers
                .with_label_values(&[self.queue.name()]);
            active.inc();
            self.turn(&key).await;
            active.dec();
            self.queue.done(&key);
        }
    }

    async fn turn(&self, key: &Key) {
        let (name, metrics) = (self.queue.name(), &self.metrics);
        let Some(identity) = self.reconciler.identity(key) else {
            self.backoff.clear(key);
            self.queue.forget(key);
            self.reconciler.forget(key);
            return;
        };
        let began = Instant::now();
        let work = AssertUnwindSafe(self.reconciler.reconcile(key)).catch_unwind();
        let result = match tokio::time::timeout(LIMIT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                metrics.reconcile_panics.with_label_values(&[name]).inc();
                Err(Error::Panicked)
            }
            Err(_) => Err(Error::TimedOut(LIMIT)),
        };
        self.settle(key, &identity, result, began.elapsed()).await;
    }

    /// Counts the result and schedules the next reconciliation.
    async fn settle(
        &self,
        key: &Key,
        identity: &Identity,
        result: Result<Next, Error>,
        took: Duration,
    ) {
        let (name, metrics) = (self.queue.name(), &self.metrics);
        match result {
            Ok(next) => {
                self.backoff.clear(key);
                let (result, delay) = match next {
                    Next::AwaitChange => ("success", routine(key)),
                    Next::Requeue(delay) => ("requeue_after", delay.min(routine(key))),
                };
                metrics.reconciled(name, result, took);
                self.queue.add_after(key.clone(), delay, Priority::Low);
            }
            Err(error) if error.is_stale() => {
                metrics.reconciled(name, "requeue", took);
                tracing::debug!(controller = name, %key, error = error.chain(), "reconciling again after a conflict");
                // Repeated collisions still back off: a bug must not become a storm.
                let wait = self.backoff.failed(key, &identity.uid, identity.generation);
                self.queue
                    .add_after(key.clone(), wait.max(STALE), Priority::High);
            }
            Err(error) if error.is_namespace_terminating() => {
                // Nothing can be created there any more, and what exists is being deleted.
                metrics.reconciled(name, "requeue_after", took);
                self.queue
                    .add_after(key.clone(), routine(key), Priority::Low);
            }
            Err(error) => {
                metrics.reconciled(name, "error", took);
                metrics.reconcile_errors.with_label_values(&[name]).inc();
                metrics.queue_retries.with_label_values(&[name, name]).inc();
                let mut wait = self.backoff.failed(key, &identity.uid, identity.generation);
                if error.refusal().is_some() {
                    wait = wait.min(REFUSED);
                }
                tracing::warn!(
                    controller = name,
                    %key,
                    error = error.chain(),
                    again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "reconciliation failed"
                );
                let report = self.reconciler.failed(key, &error);
                if tokio::time::timeout(Duration::from_secs(10), report)
                    .await
                    .is_err()
                {
                    tracing::warn!(controller = name, %key, "failed to report the failure in time");
                }
                self.queue.add_after(key.clone(), wait, Priority::Low);
            }
        }
    }
}

fn routine(key: &Key) -> Duration {
    let spread: u64 = key
        .namespace
        .bytes()
        .chain(key.name.bytes())
        .map(u64::from)
        .sum();
    RESYNC + RESYNC / 4 * u32::try_from(spread % 100).unwrap_or_default() / 100
}
