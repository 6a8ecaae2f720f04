//! The metrics of this service.

use chassis::Registry;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

/// The metrics; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Registrations by outcome: ok, requested, taken, invalid, throttled, busy. Panel "Accounts".
    pub registrations: IntCounterVec,
    /// Logins by outcome: ok, refused, throttled, busy. Alert: refused rises tenfold.
    pub logins: IntCounterVec,
    /// Refreshes by outcome: ok, invalid, just_used, reused. Alert: reused above zero.
    pub refreshes: IntCounterVec,
    /// Duration of a password hash. Panel "Accounts".
    pub hash_seconds: Histogram,
    /// Expired sessions and tokens that were removed. Panel "Accounts".
    pub swept: IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by_outcome = |name: &str, help: &str, outcomes: &[&str]| {
            let series =
                registry.register(IntCounterVec::new(Opts::new(name, help), &["outcome"])?)?;
            // Present from the first scrape, so that a rate over a restart is right.
            for outcome in outcomes {
                series.with_label_values(&[*outcome]);
            }
            Ok::<_, prometheus::Error>(series)
        };
        let hash = HistogramOpts::new("shop_auth_hash_seconds", "Duration of a password hash")
            .buckets(vec![0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0]);
        Ok(Self {
            registrations: by_outcome(
                "shop_auth_registrations_total",
                "Registrations, by outcome",
                &["ok", "requested", "taken", "invalid", "throttled", "busy"],
            )?,
            logins: by_outcome(
                "shop_auth_logins_total",
                "Logins, by outcome",
                &["ok", "refused", "throttled", "busy"],
            )?,
            refreshes: by_outcome(
                "shop_auth_refreshes_total",
                "Refreshes, by outcome",
                &["ok", "invalid", "just_used", "reused"],
            )?,
            hash_seconds: registry.register(Histogram::with_opts(hash)?)?,
            swept: registry.register(IntCounter::new(
                "shop_auth_swept_total",
                "Expired sessions and tokens removed",
            )?)?,
        })
    }
}
