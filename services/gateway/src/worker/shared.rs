//! What the workers and the control side share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::access_log::LogSink;
use crate::edge::Resources;
use crate::metrics::Metrics;
use crate::published::Published;

/// How far the process is on its way to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    Serving,
    /// Still accepting, while responses ask clients to reconnect elsewhere.
    Leaving,
    /// Accepting nothing, finishing requests in progress.
    Draining,
    /// Out of time: connections are closed.
    Cut,
}

/// What all workers share, and what the process knows of them.
#[derive(Debug)]
pub struct Shared {
    /// Every series of the data plane.
    pub metrics: Arc<Metrics>,
    pub(crate) resources: Arc<Resources>,
    pub(crate) log: LogSink,
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// How long connections of a removed listener may go on.
    pub(crate) drain: Duration,
    started: Instant,
    progress: Vec<Progress>,
}

/// What one worker has reached.
#[derive(Debug, Default)]
struct Progress {
    applied: AtomicU64,
    unbound: AtomicUsize,
    beat: AtomicU64,
}

/// A worker whose loop has not run for so long is stuck or dead.
const STUCK: Duration = Duration::from_secs(15);

impl Shared {
    pub(crate) fn new(
        resources: Arc<Resources>,
        log: LogSink,
        published: watch::Receiver<Arc<Published>>,
        phase: watch::Receiver<Phase>,
        drain: Duration,
    ) -> Self {
        let workers = resources.limits.worker_count();
        Self {
            metrics: resources.metrics.clone(),
            resources,
            log,
            published,
            phase,
            drain,
            started: Instant::now(),
            progress: (0..workers).map(|_| Progress::default()).collect(),
        }
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.progress.len()
    }

    /// Whether the loop of every worker runs.
    pub fn is_alive(&self) -> bool {
        let now = self.started.elapsed().as_secs();
        let last = |progress: &Progress| progress.beat.load(Ordering::Relaxed);
        self.progress
            .iter()
            .all(|progress| now.saturating_sub(last(progress)) <= STUCK.as_secs())
    }

    /// The loop of a worker runs.
    pub(super) fn beat(&self, index: usize) {
        let now = self.started.elapsed().as_secs();
        if let Some(progress) = self.progress.get(index) {
            progress.beat.store(now, Ordering::Relaxed);
        }
    }

    /// A worker serves a generation.
    pub(super) fn applied(&self, index: usize, generation: u64) {
        if let Some(progress) = self.progress.get(index) {
            progress.applied.store(generation, Ordering::Relaxed);
        }
    }

    /// How many ports a worker could not bind.
    pub(super) fn unbound(&self, index: usize, ports: usize) {
        if let Some(progress) = self.progress.get(index) {
            progress.unbound.store(ports, Ordering::Relaxed);
        }
    }

    /// Why the process is not ready for traffic, if it is not.
    pub fn not_ready(&self) -> Option<&'static str> {
        if *self.phase.borrow() > Phase::Serving {
            return Some("draining");
        }
        let generation = self.published.borrow().generation;
        if generation == 0 {
            return Some("no configuration yet");
        }
        let unbound = |progress: &Progress| progress.unbound.load(Ordering::Relaxed) > 0;
        if self.progress.iter().any(unbound) {
            return Some("a listener's port could not be bound");
        }
        let is_new = |progress: &Progress| progress.applied.load(Ordering::Relaxed) == 0;
        self.progress
            .iter()
            .any(is_new)
            .then_some("workers are starting")
    }

    /// What the gateway serves without for now, each with the reason: key sets of policies, certificates of listeners.
    pub fn degraded(&self) -> BTreeMap<String, String> {
        let mut all = self.resources.issuers.troubles();
        let published = self.published.borrow();
        let certificates = published.certificate_problems.iter();
        all.extend(
            certificates.map(|(listener, why)| {
                (format!("certificate of listener {listener}"), why.clone())
            }),
        );
        all
    }

    /// Whether every worker serves at least this generation.
    pub fn serves(&self, generation: u64) -> bool {
        self.progress.iter().all(|progress| {
            progress.applied.load(Ordering::Relaxed) >= generation
                && progress.unbound.load(Ordering::Relaxed) == 0
        })
    }
}
