//! The metrics of outbox and inbox.

use chassis::Registry;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts};

/// Register once per process; hand clones to the relay and the consumer.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Rows that wait to be published. Alert: grows for five minutes.
    pub(crate) pending: IntGauge,
    /// Rows published whose receipts are not all back.
    pub(crate) unreceipted: IntGauge,
    /// Age of the oldest row that waits to be published. Alert: above a minute.
    pub(crate) oldest_age: Gauge,
    /// Messages acknowledged by the stream.
    pub(crate) published: IntCounter,
    /// Times the stream was found to have gone backwards.
    pub(crate) rewinds: IntCounter,
    /// Messages handled, by type and outcome: applied, duplicate, retried, dead, unreadable.
    pub(crate) handled: IntCounterVec,
    /// Dead letters that nobody has resolved. Alert: above zero.
    pub(crate) dead_letters: IntGauge,
    /// 1 while this process is the one that relays.
    pub(crate) relay_active: IntGauge,
}

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| registry.register(IntCounter::new(name, help)?);
        let handled = Opts::new(
            "shop_inbox_handled_total",
            "Messages handled, by type and outcome",
        );
        Ok(Self {
            pending: gauge("shop_outbox_pending", "Events not yet published")?,
            unreceipted: gauge("shop_outbox_unreceipted", "Events without all receipts")?,
            oldest_age: registry.register(Gauge::new(
                "shop_outbox_oldest_age_seconds",
                "Age of the oldest event not yet published",
            )?)?,
            published: counter("shop_outbox_published_total", "Events published")?,
            rewinds: counter(
                "shop_outbox_rewinds_total",
                "Times the stream went backwards",
            )?,
            handled: registry.register(IntCounterVec::new(handled, &["type", "outcome"])?)?,
            dead_letters: gauge("shop_dead_letters", "Dead letters not resolved")?,
            relay_active: gauge("shop_outbox_relay_active", "1 while this process relays")?,
        })
    }
}
