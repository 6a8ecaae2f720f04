//! The queue of ended spans. It is bounded, and a span never waits for it.

use std::sync::{Arc, OnceLock};

use prometheus::IntCounterVec;
use tokio::sync::{Notify, mpsc};

use crate::collector::{Collector, EndpointError};
use crate::config::{Ratio, TracingConfig};
use crate::context::TraceContext;
use crate::delivery::{Delivery, Reported};
use crate::options::ExporterOptions;
use crate::otlp;
use crate::outcomes::Outcomes;
use crate::record::Record;

/// One for the process, like the log.
static INSTALLED: OnceLock<Exporter> = OnceLock::new();

/// Whether spans of this process are exported.
pub fn is_on() -> bool {
    INSTALLED.get().is_some()
}

pub(crate) fn installed() -> Option<&'static Exporter> {
    INSTALLED.get()
}

/// Takes spans when they end.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Box<Record>>,
    wake: Arc<Notify>,
    batch: usize,
    ratio: Ratio,
    outcomes: Outcomes,
    series: IntCounterVec,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The endpoint of the collector is invalid.
    #[error("invalid collector endpoint")]
    Endpoint(#[from] EndpointError),
    /// The metrics could not be created.
    #[error("failed to create the metrics of spans")]
    Series(#[from] prometheus::Error),
}

impl Exporter {
    /// An exporter and its delivery, to be run until the process ends; none if no endpoint is configured.
    /// `program` is the name of the service where the configuration has none.
    pub fn new(
        config: &TracingConfig,
        program: &str,
        options: ExporterOptions,
    ) -> Result<Option<(Self, Delivery)>, ExporterError> {
        if config.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let collector = Collector::new(&config.otlp_endpoint, options.timeout)?;
        let (outcomes, series) = Outcomes::new()?;
        let (queue, waiting) = mpsc::channel(options.queue);
        let wake = Arc::new(Notify::new());
        let delivery = Delivery {
            waiting,
            wake: wake.clone(),
            collector,
            resource: otlp::resource(config, program),
            options,
            outcomes: outcomes.clone(),
            reported: Reported::default(),
        };
        let exporter = Self {
            queue,
            wake,
            batch: options.batch,
            ratio: config.otel_traces_sampler_arg,
            outcomes,
            series,
        };
        Ok(Some((exporter, delivery)))
    }

    /// `shop_trace_spans_total{outcome}`, to be registered.
    pub fn series(&self) -> IntCounterVec {
        self.series.clone()
    }

    /// Makes this the exporter of the process. The second call in one process (tests) is a no-op.
    pub fn install(self) {
        // The first one stays.
        let _ = INSTALLED.set(self);
    }

    /// Whether a new trace is exported.
    pub(crate) fn samples(&self, root: TraceContext) -> bool {
        self.ratio.holds(root.trace())
    }

    /// Takes a span, or drops it.
    pub(crate) fn end(&self, record: Box<Record>) {
        if self.queue.try_send(record).is_err() {
            self.outcomes.overflowed.inc();
        }
        // Delivery also runs at intervals: it is woken only for a full batch.
        if self.queue.max_capacity() - self.queue.capacity() >= self.batch {
            self.wake.notify_one();
        }
    }
}
