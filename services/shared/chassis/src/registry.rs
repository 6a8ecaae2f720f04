//! Metrics: one registry per process; rate, errors and duration of HTTP under OpenTelemetry's names.

use prometheus::core::Collector;
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntGauge, TextEncoder};

/// The metrics of the process. Clones share them.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: prometheus::Registry,
}

impl Registry {
    /// A registry with the series of the process (memory, CPU, file descriptors).
    pub fn new() -> Result<Self, prometheus::Error> {
        let inner = prometheus::Registry::new();
        let process = prometheus::process_collector::ProcessCollector::for_self();
        inner.register(Box::new(process))?;
        Ok(Self { inner })
    }

    /// Registers a series and returns it.
    pub fn register<C: Collector + Clone + 'static>(
        &self,
        series: C,
    ) -> Result<C, prometheus::Error> {
        self.inner.register(Box::new(series.clone()))?;
        Ok(series)
    }

    /// The underlying registry.
    pub fn prometheus(&self) -> &prometheus::Registry {
        &self.inner
    }

    /// The Prometheus text format.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.inner.gather(), &mut text)?;
        Ok(text)
    }
}

/// Rate, errors and duration of the requests served.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    pub(crate) duration: HistogramVec,
    pub(crate) active: IntGauge,
}

/// OpenTelemetry's advice for `http.server.request.duration`.
const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

impl HttpMetrics {
    /// Registers the series of the HTTP server.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let duration = HistogramOpts::new(
            "http_server_request_duration_seconds",
            "Duration of requests, by method, route template and status",
        );
        let labels = [
            "http_request_method",
            "http_route",
            "http_response_status_code",
        ];
        let duration = HistogramVec::new(duration.buckets(BUCKETS.to_vec()), &labels)?;
        let active = IntGauge::new("http_server_active_requests", "Requests being served")?;
        Ok(Self {
            duration: registry.register(duration)?,
            active: registry.register(active)?,
        })
    }
}
