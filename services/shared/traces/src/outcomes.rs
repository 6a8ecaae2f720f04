//! Counters of spans by outcome.

use prometheus::{IntCounter, IntCounterVec, Opts};

/// Alert: ShopTracesLost.
#[derive(Debug, Clone)]
pub(crate) struct Outcomes {
    /// Accepted by the collector.
    pub(crate) exported: IntCounter,
    /// The queue was full.
    pub(crate) overflowed: IntCounter,
    /// The collector could not be reached, or was not available.
    pub(crate) failed: IntCounter,
    /// The collector refused them.
    pub(crate) rejected: IntCounter,
}

impl Outcomes {
    pub(crate) fn new() -> Result<(Self, IntCounterVec), prometheus::Error> {
        let options = Opts::new("shop_trace_spans_total", "Spans that ended, by outcome");
        let series = IntCounterVec::new(options, &["outcome"])?;
        let of = |outcome: &str| series.with_label_values(&[outcome]);
        let outcomes = Self {
            exported: of("exported"),
            overflowed: of("overflowed"),
            failed: of("failed"),
            rejected: of("rejected"),
        };
        Ok((outcomes, series))
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.overflowed.get() + self.failed.get() + self.rejected.get()
    }
}
