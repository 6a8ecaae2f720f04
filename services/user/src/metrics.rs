//! Every series of this room.

use chassis::Registry;
use prometheus::{IntCounter, IntCounterVec, Opts};

/// The series; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Profiles fetched from auth because their event had not come, by outcome: found, unknown,
    /// failed. Alert: failed above zero. Panel "Accounts": found tells how late events are.
    pub read_through: IntCounterVec,
    /// Profiles that their owners edited. Panel "Accounts".
    pub edited: IntCounter,
}

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "shop_user_read_through_total",
            "Profiles fetched from auth on a miss, by outcome",
        );
        let read_through = registry.register(IntCounterVec::new(opts, &["outcome"])?)?;
        for outcome in ["found", "unknown", "failed"] {
            read_through.with_label_values(&[outcome]);
        }
        Ok(Self {
            read_through,
            edited: registry.register(IntCounter::new(
                "shop_user_profiles_edited_total",
                "Profiles that were edited",
            )?)?,
        })
    }
}
