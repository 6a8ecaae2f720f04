//! Times and sizes of an exporter.

use std::time::Duration;

/// The defaults are for production; tests use shorter times.
#[derive(Debug, Clone, Copy)]
pub struct ExporterOptions {
    /// Spans that the queue holds; more are dropped.
    pub queue: usize,
    /// Spans of one request.
    pub batch: usize,
    /// How long a span may wait for a full batch.
    pub delay: Duration,
    /// Time limit of one request to the collector.
    pub timeout: Duration,
    /// Pause after the first failure of a batch; doubles with each one.
    pub pause: Duration,
    /// Attempts to send a batch before it is dropped.
    pub tries: usize,
}

impl Default for ExporterOptions {
    fn default() -> Self {
        Self {
            queue: 2_048,
            batch: 512,
            delay: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            pause: Duration::from_secs(1),
            // 1 + 2 + 4 + 8 + 16 s: longer than the replacement of a collector takes.
            tries: 6,
        }
    }
}
