//! The metrics of this service.

use chassis::Registry;
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::triggers::trigger::Trigger;

/// The metrics; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Messages that wait or are being sent. Panel "Mail".
    pub waiting: IntGauge,
    /// Messages given up. Alert: above zero.
    pub dead: IntGauge,
    /// Age of the oldest waiting message. Alert: above ten minutes.
    pub oldest_age: IntGauge,
    /// Messages accepted by the mail server, by template. Panel "Mail".
    pub sent: IntCounterVec,
    /// Failed attempts, by template. Alert: as many as sent.
    pub failed: IntCounterVec,
    /// Messages given up, by template; `abandoned` if a process was killed during the last attempt.
    pub died: IntCounterVec,
    /// Messages queued, by template. Panel "Mail".
    pub written: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help)?);
        let by_template = |name: &str, help: &str| {
            let series =
                registry.register(IntCounterVec::new(Opts::new(name, help), &["template"])?)?;
            for template in Trigger::TEMPLATES {
                series.with_label_values(&[template]);
            }
            Ok::<_, prometheus::Error>(series)
        };
        Ok(Self {
            waiting: gauge("shop_notification_waiting", "Messages waiting to be sent")?,
            dead: gauge("shop_notification_dead", "Messages given up")?,
            oldest_age: gauge(
                "shop_notification_oldest_age_seconds",
                "Age of the oldest waiting message",
            )?,
            sent: by_template("shop_notification_sent_total", "Messages sent, by template")?,
            failed: by_template(
                "shop_notification_failed_total",
                "Failed attempts, by template",
            )?,
            died: by_template(
                "shop_notification_died_total",
                "Messages given up, by template",
            )?,
            written: by_template(
                "shop_notification_written_total",
                "Messages queued, by template",
            )?,
        })
    }
}
