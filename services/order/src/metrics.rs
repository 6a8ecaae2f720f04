//! Every series of this service.

use chassis::Registry;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

/// Clones share their series.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Orders placed. Panel "Orders".
    pub placed: IntCounter,
    /// Orders paid. Panel "Orders".
    pub paid: IntCounter,
    /// Orders cancelled by owner, payment (the capture failed), checkout (not paid in time, or declined). Panel "Orders". Alert: payment above zero.
    pub cancelled: IntCounterVec,
    /// Checkouts that are neither placed, failed nor awaiting a payment. Panel "Checkout".
    pub open: IntGauge,
    /// Checkouts whose order awaits its payment. Panel "Checkout".
    pub awaiting_payment: IntGauge,
    /// Age of the oldest open checkout that does not await a payment. Alert: above five minutes (a service is unavailable, and
    /// stock or a payment is held).
    pub oldest_open: IntGauge,
    /// Ends of checkouts: placed, or the reason of the refusal. Panel "Checkout". Alert: checkout_abandoned above zero.
    pub outcomes: IntCounterVec,
    /// Checkouts that were taken over: their driver crashed, or they waited for a service or a payment. Panel "Checkout".
    pub resumed: IntCounter,
    /// Effects of checkouts by outcome: done, refused, open (a payment), unavailable. Panel "Checkout".
    pub commands: IntCounterVec,
}

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| registry.register(IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help)?);
        let by = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let metrics = Self {
            placed: counter("shop_orders_placed_total", "Orders placed")?,
            paid: counter("shop_orders_paid_total", "Orders paid")?,
            cancelled: by(
                "shop_orders_cancelled_total",
                "Orders cancelled, by whom",
                &["by"],
            )?,
            open: gauge(
                "shop_checkouts_open",
                "Checkouts that are neither placed, failed nor awaiting a payment",
            )?,
            awaiting_payment: gauge(
                "shop_checkouts_awaiting_payment",
                "Checkouts whose order awaits its payment",
            )?,
            oldest_open: gauge(
                "shop_checkouts_oldest_open_age_seconds",
                "Age of the oldest open checkout that does not await a payment",
            )?,
            outcomes: by(
                "shop_checkout_outcomes_total",
                "Ends of checkouts, by outcome",
                &["outcome"],
            )?,
            resumed: counter("shop_checkouts_resumed_total", "Checkouts taken over")?,
            commands: by(
                "shop_checkout_commands_total",
                "Commands of checkouts, by command and outcome",
                &["command", "outcome"],
            )?,
        };
        for by in ["owner", "payment", "checkout"] {
            metrics.cancelled.with_label_values(&[by]);
        }
        for outcome in [
            "placed",
            "out_of_stock",
            "payment_declined",
            "payment_expired",
            "checkout_abandoned",
        ] {
            metrics.outcomes.with_label_values(&[outcome]);
        }
        for command in ["reserve", "authorise", "claim", "place", "void", "release"] {
            metrics.commands.with_label_values(&[command, "done"]);
        }
        Ok(metrics)
    }
}
