//! Every series of this room.

use chassis::Registry;
use prometheus::{IntCounterVec, Opts};

/// The series; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Operations by kind (authorise, capture, void, refund) and outcome: moved, already, declined, refused. Alert: declined
    /// captures above zero. Panel "Money".
    pub operations: IntCounterVec,
}

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "shop_payments_total",
            "Operations on payments, by operation and outcome",
        );
        let operations = registry.register(IntCounterVec::new(opts, &["operation", "outcome"])?)?;
        for operation in ["authorise", "capture", "void", "refund"] {
            operations.with_label_values(&[operation, "moved"]);
        }
        Ok(Self { operations })
    }

    /// Counts one operation.
    pub fn count(&self, operation: &str, outcome: &str) {
        self.operations
            .with_label_values(&[operation, outcome])
            .inc();
    }
}
