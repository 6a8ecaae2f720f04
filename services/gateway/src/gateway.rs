//! The data plane as one value: start it, publish objects, drain it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use gateway_routes::{ObjectName, Objects};
use k8s_openapi::api::core::v1::Secret;
use tokio::sync::watch;

use crate::access_log::LogSink;
use crate::config::Limits;
use crate::control::Publisher;
use crate::edge::Resources;
use crate::metrics::Metrics;
use crate::policy::issuers::Issuers;
use crate::policy::rate_limit::Limiter;
use crate::published::Published;
use crate::worker::{self, Phase, Shared};

/// Accepting goes on for this long after SIGTERM: Services learn that the pod is terminating at the same time,
/// not before.
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
        let log = log(metrics.clone()).context("failed to start the access log")?;
        let resources = Arc::new(Resources {
            limiter: Limiter::new(limits.max_rate_limit_keys),
            issuers: Issuers::default(),
            metrics,
            limits,
        });
        let publisher = Publisher::new(name, sender, resources.clone())?;
        let shared = Arc::new(Shared::new(resources, log, served, phase_seen, drain));
        let threads = (0..shared.workers())
            .map(|index| {
                let shared = shared.clone();
                let seed = getrandom::u64().context("failed to seed request ids")?;
                std::thread::Builder::new()
                    .name(format!("worker-{index}"))
                    .spawn(move || worker::run(shared, index, seed))
                    .context("failed to start a worker")
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            publisher: Some(publisher),
            phase,
            shared,
            threads,
        })
    }

    /// Readiness and metrics of the workers.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Hands out the publisher to the watches, once.
    pub fn take_publisher(&mut self) -> Option<Publisher> {
        self.publisher.take()
    }

    /// Publishes objects directly, for tests and examples without a cluster.
    pub fn publish(
        &mut self,
        objects: Objects,
        secrets: &BTreeMap<ObjectName, Arc<Secret>>,
    ) -> anyhow::Result<u64> {
        let publisher = self
            .publisher
            .as_mut()
            .context("the publisher was handed out to the watches")?;
        publisher.publish(objects, secrets)
    }

    /// Drains: not ready but still accepting for a while, then finishing requests in progress, at last closing
    /// connections that do not end.
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
        for result in results.context("failed to wait for the workers")? {
            result.map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    }
}
