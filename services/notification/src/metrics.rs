//! Every series of this room.

use chassis::Registry;
use prometheus::{IntCounterVec, IntGauge, Opts};

/// The series; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Messages that wait or are on their way. Panel "Mail".
    pub waiting: IntGauge,
    /// Messages given up. Alert: above zero.
    pub dead: IntGauge,
    /// Age of the oldest message that waits. Alert: above ten minutes.
    pub oldest_age: IntGauge,
    /// Messages that the mail server took, by template. Panel "Mail".
    pub sent: IntCounterVec,
    /// Attempts that failed, by template. Alert: as many as sent.
    pub failed: IntCounterVec,
    /// Messages given up, by template; `abandoned` when a process died over its last attempt.
    pub died: IntCounterVec,
    /// Messages written, by template. Panel "Mail".
    pub written: IntCounterVec,
}

const TEMPLATES: [&str; 4] = ["welcome", "order_placed", "order_paid", "order_cancelled"];

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help)?);
        let by_template = |name: &str, help: &str| {
            let series =
                registry.register(IntCounterVec::new(Opts::new(name, help), &["template"])?)?;
            for template in TEMPLATES {
                series.with_label_values(&[template]);
            }
            Ok::<_, prometheus::Error>(series)
        };
        Ok(Self {
            waiting: gauge("shop_notification_waiting", "Messages that wait to be sent")?,
            dead: gauge("shop_notification_dead", "Messages given up")?,
            oldest_age: gauge(
                "shop_notification_oldest_age_seconds",
                "Age of the oldest message that waits",
            )?,
            sent: by_template("shop_notification_sent_total", "Messages sent, by template")?,
            failed: by_template(
                "shop_notification_failed_total",
                "Attempts that failed, by template",
            )?,
            died: by_template(
                "shop_notification_died_total",
                "Messages given up, by template",
            )?,
            written: by_template(
                "shop_notification_written_total",
                "Messages written, by template",
            )?,
        })
    }
}
