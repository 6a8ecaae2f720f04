//! Export of the spans of a process.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use traces::{Exporter, ExporterOptions, TracingConfig};

use crate::registry::Registry;
use crate::tasks::Tasks;

/// Minimum time for the last export, also where drain has used up its time.
const MIN_FINISH: Duration = Duration::from_secs(1);

/// The export of this process's spans. Does nothing where no collector is configured.
#[derive(Debug)]
pub struct Spans {
    delivery: Tasks,
}

impl Spans {
    /// Starts to record and to export, on the current runtime.
    pub fn start(
        program: &'static str,
        config: &TracingConfig,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let spans = Self {
            delivery: Tasks::new(),
        };
        let made = Exporter::new(config, program, ExporterOptions::default());
        if let Some((exporter, delivery)) = made.context("failed to prepare the export of spans")? {
            registry.register(exporter.series())?;
            exporter.install();
            let stop = spans.delivery.shutdown();
            spans.delivery.spawn("spans", delivery.run(stop));
        }
        Ok(spans)
    }

    /// Exports what is left in the queue, as far as the time allows.
    pub async fn finish(self, deadline: Instant) {
        let deadline = deadline.max(Instant::now() + MIN_FINISH);
        let done = tokio::time::timeout_at(deadline, self.delivery.stop()).await;
        if done.is_err() {
            tracing::warn!("some spans were not exported in time");
        }
    }
}
