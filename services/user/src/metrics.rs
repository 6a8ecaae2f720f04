//! The metrics of this service.

use chassis::Registry;
use prometheus::{IntCounter, IntCounterVec, Opts};

/// The metrics; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Missing profiles requested from auth, by outcome: found, unknown, failed. Alert: failed above
    /// zero. Panel "Accounts": found shows how late events arrive.
    pub read_through: IntCounterVec,
    /// Profiles changed. Panel "Accounts".
    pub edited: IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "shop_user_read_through_total",
            "Missing profiles requested from auth, by outcome",
        );
        let read_through = registry.register(IntCounterVec::new(opts, &["outcome"])?)?;
        for outcome in ["found", "unknown", "failed"] {
            read_through.with_label_values(&[outcome]);
        }
        Ok(Self {
            read_through,
            edited: registry.register(IntCounter::new(
                "shop_user_profiles_edited_total",
                "Profiles changed",
            )?)?,
        })
    }

    pub(crate) fn read_through(&self, outcome: &str) {
        self.read_through.with_label_values(&[outcome]).inc();
    }
}
