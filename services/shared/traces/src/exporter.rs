//! Where spans are left when they end: a bounded queue. Who is in a hurry never waits for it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts};
use tokio::sync::{Notify, mpsc};

use crate::config::{Ratio, TracingConfig};
use crate::context::TraceContext;
use crate::delivery::{Complaint, Delivery};
use crate::otlp;
use crate::post::{EndpointError, Post};
use crate::span::Record;

/// Like the log, where spans go is one for a process, whatever part of it a span is of.
static INSTALLED: OnceLock<Exporter> = OnceLock::new();

/// Whether spans of this process are exported.
pub fn is_on() -> bool {
    INSTALLED.get().is_some()
}

pub(crate) fn installed() -> Option<&'static Exporter> {
    INSTALLED.get()
}

/// Times and sizes of an exporter. The defaults are for production; tests are in more of a hurry.
#[derive(Debug, Clone, Copy)]
pub struct ExporterOptions {
    /// Spans that may wait; more are dropped.
    pub queue: usize,
    /// Spans sent together.
    pub batch: usize,
    /// A span waits this long for others.
    pub delay: Duration,
    /// The collector has this long to answer.
    pub timeout: Duration,
    /// Pause after the first failure of a batch; doubles.
    pub pause: Duration,
    /// Times that a batch is sent before it is dropped.
    pub tries: u32,
}

impl Default for ExporterOptions {
    fn default() -> Self {
        Self {
            queue: 2_048,
            batch: 512,
            delay: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            pause: Duration::from_secs(1),
            // 1 + 2 + 4 + 8 + 16 s: a collector that is replaced is waited for.
            tries: 6,
        }
    }
}

/// Spans by what became of them. Alert: ShopTracesLost.
#[derive(Debug, Clone)]
pub(crate) struct Outcomes {
    /// Taken by the collector.
    pub(crate) exported: IntCounter,
    /// The queue was full.
    pub(crate) overflowed: IntCounter,
    /// The collector could not be reached, or answered that it cannot.
    pub(crate) failed: IntCounter,
    /// The collector does not want them.
    pub(crate) rejected: IntCounter,
}

impl Outcomes {
    pub(crate) fn dropped(&self) -> u64 {
        self.overflowed.get() + self.failed.get() + self.rejected.get()
    }
}

/// Where spans are left when they end.
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
    /// The endpoint is none.
    #[error("where spans go")]
    Endpoint(#[from] EndpointError),
    /// The series cannot be made.
    #[error("the series of spans")]
    Series(#[from] prometheus::Error),
}

impl Exporter {
    /// An exporter and the work of delivering, to be run until the process ends; none if no endpoint is
    /// configured. `program` is what the service is called if the configuration has no name for it.
    pub fn new(
        config: &TracingConfig,
        program: &str,
        options: ExporterOptions,
    ) -> Result<Option<(Self, Delivery)>, ExporterError> {
        if config.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let post = Post::new(&config.otlp_endpoint, options.timeout)?;
        let series = Opts::new("shop_trace_spans_total", "Spans that ended, by outcome");
        let series = IntCounterVec::new(series, &["outcome"])?;
        let of = |outcome: &str| series.with_label_values(&[outcome]);
        let outcomes = Outcomes {
            exported: of("exported"),
            overflowed: of("overflowed"),
            failed: of("failed"),
            rejected: of("rejected"),
        };
        let (queue, waiting) = mpsc::channel(options.queue);
        let wake = Arc::new(Notify::new());
        let delivery = Delivery {
            waiting,
            wake: wake.clone(),
            post,
            resource: otlp::resource(config, program),
            options,
            outcomes: outcomes.clone(),
            complaint: Complaint::default(),
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
        // What is there already stays.
        let _ = INSTALLED.set(self);
    }

    /// Whether a trace that begins here is exported.
    pub(crate) fn samples(&self, root: TraceContext) -> bool {
        self.ratio.holds(root.trace())
    }

    /// Takes a span, or drops it.
    pub(crate) fn end(&self, record: Box<Record>) {
        if self.queue.try_send(record).is_err() {
            self.outcomes.overflowed.inc();
        }
        // The deliverer looks every now and then by itself: it is woken only when there is a lot.
        if self.queue.max_capacity() - self.queue.capacity() >= self.batch {
            self.wake.notify_one();
        }
    }
}
