//! Every series of this service.

use chassis::Registry;
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::attempts::domain::step::Incident;
use crate::ledger::domain::Kind;

/// The series; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Operations by kind and outcome. Alert ShopPaymentNotReturned, panel "Payment operations".
    operations: IntCounterVec,
    /// Operations that are not decided. Panel "Payment operations without an outcome".
    open: IntGauge,
    /// Age of the oldest operation whose outcome is unknown. Alert ShopPaymentsStuck.
    oldest_age: IntGauge,
    /// Answers that contradict what is recorded. Alert ShopPaymentIncident.
    incidents: IntCounterVec,
    /// Notifications of providers by outcome.
    notifications: IntCounterVec,
}

/// What became of an operation that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Done now.
    Moved,
    /// Requested or done before.
    Already,
    /// The provider will not do it.
    Declined,
    /// A rule of ours forbids it.
    Refused,
    /// The provider decides later.
    Pending,
    /// The payer has to act.
    RequiresAction,
    /// The provider did not answer.
    Unreachable,
}

impl Counted {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Already => "already",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It was news, or confirmed what is recorded.
    Accepted,
    /// It was received before.
    Duplicate,
    /// Its signature is not valid, or it cannot be read.
    Rejected,
}

impl Received {
    const ALL: [Self; 3] = [Self::Accepted, Self::Duplicate, Self::Rejected];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
        }
    }
}

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help)?);
        let series = Self {
            operations: counter(
                "shop_payments_total",
                "Operations on payments, by operation and outcome",
                &["operation", "outcome"],
            )?,
            open: gauge(
                "shop_payment_operations_open",
                "Operations that the provider has not decided",
            )?,
            oldest_age: gauge(
                "shop_payment_operations_oldest_age_seconds",
                "Age of the oldest operation whose outcome is not known",
            )?,
            incidents: counter(
                "shop_payment_incidents_total",
                "Answers of providers that contradict what is recorded, by kind",
                &["kind"],
            )?,
            notifications: counter(
                "shop_payment_notifications_total",
                "Notifications of providers, by outcome",
                &["outcome"],
            )?,
        };
        // Present from the start, so that a first increase is seen.
        for kind in Kind::ALL {
            for outcome in [Counted::Moved, Counted::Declined] {
                series.touch(kind, outcome);
            }
        }
        for kind in Incident::ALL {
            series.incidents.with_label_values(&[kind.as_str()]);
        }
        for outcome in Received::ALL {
            series.notifications.with_label_values(&[outcome.as_str()]);
        }
        Ok(series)
    }

    fn touch(&self, kind: Kind, outcome: Counted) -> prometheus::IntCounter {
        self.operations
            .with_label_values(&[kind.as_str(), outcome.as_str()])
    }

    /// Counts one operation.
    pub fn count(&self, kind: Kind, outcome: Counted) {
        self.touch(kind, outcome).inc();
    }

    /// Counts a contradiction.
    pub fn incident(&self, incident: Incident) {
        self.incidents.with_label_values(&[incident.as_str()]).inc();
    }

    /// Counts a notification.
    pub fn received(&self, outcome: Received) {
        self.notifications
            .with_label_values(&[outcome.as_str()])
            .inc();
    }

    /// Shows how much is open, and for how long.
    pub fn backlog(&self, open: i64, oldest_age_secs: i64) {
        self.open.set(open);
        self.oldest_age.set(oldest_age_secs);
    }
}
