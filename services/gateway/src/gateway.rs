//! The data plane as one value: start it, give it objects, drain it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gateway_routes::{ObjectName, Objects};
use k8s_openapi::api::core::v1::Secret;
use tokio::sync::watch;

use crate::access_log::LogSink;
use crate::config::Limits;
use crate::control::{Published, Publisher};
use crate::metrics::Metrics;
use crate::policy::issuers::Issuers;
use crate::policy::rate_limit::Limiter;
use crate::worker::{self, Phase, Progress, Shared};

/// Accepting goes on for this long after SIGTERM: Services learn at the same time that the pod is
/// going, not before.
const LEAVING: Duration = Duration::from_secs(5);

/// A running data plane.
pub struct Gateway {
    publisher: Option<Publisher>,
    phase: watch::Sender<Phase>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Gateway {
    /// Starts the workers. They serve nothing until something is published.
    pub fn start(
        name: ObjectName,
        limits: Limits,
        drain: Duration,
        log: impl FnOnce(Arc<Metrics>) -> std::io::Result<LogSink>,
    ) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let (sender, served) = watch::channel(Arc::<Published>::default());
        let (phase, phase_seen) = watch::channel(Phase::Serving);
        let workers = limits.worker_count();
        let shared = Arc::new(Shared {
            limiter: Limiter::new(limits.max_rate_limit_keys),
            issuers: Issuers::default(),
            log: log(metrics.clone()).context("starting the access log")?,
            metrics,
            limits,
            published: served,
            phase: phase_seen,
            drain,
            started: Instant::now(),
            progress: (0..workers).map(|_| Progress::default()).collect(),
        });
        let publisher = Publisher::new(name, sender, shared.clone())?;
        let threads = (0..workers)
            .map(|index| {
                let shared = shared.clone();
                let seed = getrandom::u64().context("seeding request ids")?;
                std::thread::Builder::new()
                    .name(format!("worker-{index}"))
                    .spawn(move || worker::run(shared, index, seed))
                    .context("starting a worker")
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            publisher: Some(publisher),
            phase,
            shared,
            threads,
        })
    }

    /// What the workers share: readiness and series.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Hands out the side that publishes, for the watch layer. Only once.
    pub fn take_publisher(&mut self) -> Option<Publisher> {
        self.publisher.take()
    }

    /// Puts objects in force directly; without a cluster this is how they get here.
    pub fn publish(
        &mut self,
        objects: Objects,
        secrets: &BTreeMap<ObjectName, Arc<Secret>>,
    ) -> anyhow::Result<u64> {
        let publisher = self
            .publisher
            .as_mut()
            .context("objects come from the watch layer")?;
        publisher.publish(objects, secrets)
    }

    /// Leaves: not ready, still accepting for a while, then finishing what is in work, at last cutting
    /// what does not end.
    pub async fn drain(self) -> anyhow::Result<()> {
        let whole = self.shared.drain;
        let leaving = LEAVING.min(whole / 4);
        self.phase.send_replace(Phase::Leaving);
        tokio::time::sleep(leaving).await;
        self.phase.send_replace(Phase::Draining);
        let threads = self.threads;
        let joining = tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .map(JoinHandle::join)
                .collect::<Vec<_>>()
        });
        let mut joining = std::pin::pin!(joining);
        let results = tokio::select! {
            results = joining.as_mut() => results,
            () = tokio::time::sleep(whole.saturating_sub(leaving)) => {
                self.phase.send_replace(Phase::Cut);
                joining.await
            }
        };
        for result in results.context("waiting for the workers")? {
            result.map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    }
}
