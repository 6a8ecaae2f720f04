//! Tasks that run at an interval, from start to shutdown.

use std::time::Duration;

use chassis::Registry;
use prometheus::{IntCounterVec, Opts};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;

/// Whether a task has more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A full batch was done: run again at once.
    More,
    /// Nothing is left: run again at the next interval.
    Done,
}

impl Progress {
    /// More, if the batch was full.
    pub const fn of_batch(done: u64, batch: u64) -> Self {
        if done >= batch {
            Self::More
        } else {
            Self::Done
        }
    }
}

/// Work that a service does by itself, batch by batch. Several processes may run it at the same time:
/// statements claim rows with `for update skip locked`, or are idempotent.
pub trait PeriodicTask: Send + Sync + 'static {
    /// Name in logs, spans and metrics.
    const NAME: &'static str;
    /// Pause between two runs that found nothing more to do.
    const EVERY: Duration;

    /// Does one batch. A failure is logged and counted, and the batch is tried again at the next interval.
    fn run(&self) -> impl Future<Output = Result<Progress, StoreError>> + Send;
}

/// Batches by task and outcome: done, failed. Alert: ShopPeriodicTaskFailing.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    runs: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "shop_periodic_task_batches_total",
            "Batches of periodic tasks, by task and outcome",
        );
        let runs = registry.register(IntCounterVec::new(opts, &["task", "outcome"])?)?;
        Ok(Self { runs })
    }

    /// Adds the series of a task, so that a rate is right from the first scrape.
    fn declare(&self, task: &str) {
        for outcome in ["done", "failed"] {
            self.runs.with_label_values(&[task, outcome]);
        }
    }

    fn count(&self, task: &str, outcome: &str) {
        self.runs.with_label_values(&[task, outcome]).inc();
    }
}

/// Runs the task until shutdown: at once, then at its interval.
pub(crate) async fn run<T: PeriodicTask>(task: T, metrics: Metrics, shutdown: CancellationToken) {
    metrics.declare(T::NAME);
    let mut ticks = interval(T::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        while !shutdown.is_cancelled() && batch(&task, &metrics).await == Progress::More {}
    }
}

async fn batch<T: PeriodicTask>(task: &T, metrics: &Metrics) -> Progress {
    match task.run().await {
        Ok(progress) => {
            metrics.count(T::NAME, "done");
            progress
        }
        Err(error) => {
            metrics.count(T::NAME, "failed");
            let error: &dyn std::error::Error = &error;
            tracing::warn!(task = T::NAME, error, "periodic task failed");
            Progress::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Fails first, then has more to do twice.
    struct Sweep {
        batches: Arc<AtomicU32>,
        shutdown: CancellationToken,
    }

    impl PeriodicTask for Sweep {
        const NAME: &'static str = "sweep";
        const EVERY: Duration = Duration::from_secs(3600);

        async fn run(&self) -> Result<Progress, StoreError> {
            match self.batches.fetch_add(1, Ordering::Relaxed) {
                0 => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
                1 | 2 => Ok(Progress::More),
                _ => {
                    self.shutdown.cancel();
                    Ok(Progress::Done)
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_survives_a_failure_does_full_batches_at_once_and_stops_at_shutdown() {
        let registry = Registry::new().unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        let (batches, shutdown) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let started = tokio::time::Instant::now();
        let task = Sweep {
            batches: Arc::clone(&batches),
            shutdown: shutdown.clone(),
        };
        run(task, metrics.clone(), shutdown).await;
        assert_eq!(batches.load(Ordering::Relaxed), 4);
        assert_eq!(
            started.elapsed(),
            Sweep::EVERY,
            "only the failure waits for the next interval"
        );
        let count = |outcome| metrics.runs.with_label_values(&["sweep", outcome]).get();
        assert_eq!((count("failed"), count("done")), (1, 3));
    }
}
