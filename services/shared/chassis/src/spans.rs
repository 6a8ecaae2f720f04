//! The spans of a process, from its start to its end.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use traces::{Exporter, ExporterOptions, TracingConfig};

use crate::registry::Registry;
use crate::tasks::Tasks;

/// Spans get this long to be delivered, also when the drain has used up its time.
const LEAST: Duration = Duration::from_secs(1);

/// The delivery of this process' spans. Does nothing where they have nowhere to go.
#[derive(Debug)]
pub struct Spans {
    delivery: Tasks,
}

impl Spans {
    /// Starts to record and to deliver, on the runtime in force.
    pub fn start(
        program: &'static str,
        config: &TracingConfig,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let spans = Self {
            delivery: Tasks::new(),
        };
        let made = Exporter::new(config, program, ExporterOptions::default());
        if let Some((exporter, delivery)) = made.context("preparing to export spans")? {
            registry.register(exporter.series())?;
            exporter.install();
            let stop = spans.delivery.shutdown();
            spans.delivery.spawn("spans", delivery.run(stop));
        }
        Ok(spans)
    }

    /// Nothing begins any more: delivers what has ended, if that can be done in time.
    pub async fn finish(self, deadline: Instant) {
        let deadline = deadline.max(Instant::now() + LEAST);
        let done = tokio::time::timeout_at(deadline, self.delivery.stop()).await;
        if done.is_err() {
            tracing::warn!("some spans were not delivered in time");
        }
    }
}
