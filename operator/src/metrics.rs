//! Every series of the operator, registered in one place. Labels come from closed sets.
//!
//! The `controller_runtime_*`, `workqueue_*`, `rest_client_*` and `leader_election_*` names are those of
//! Go operators, so that dashboards and alerts which exist already work here too.

use std::time::Duration;

use chassis::Registry;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

const SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// All series. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    /// Where they are gathered from.
    pub registry: Registry,
    /// Reconciliations by controller and result (panel "Reconciliations").
    pub reconcile_total: IntCounterVec,
    /// Failed ones (alert StorefrontReconcileErrors).
    pub reconcile_errors: IntCounterVec,
    /// Panics that were caught (alert StorefrontReconcileErrors).
    pub reconcile_panics: IntCounterVec,
    /// How long one takes (panel "Reconcile time").
    pub reconcile_seconds: HistogramVec,
    /// Size of each worker pool.
    pub max_concurrent: IntGaugeVec,
    /// Workers that are busy.
    pub active_workers: IntGaugeVec,
    /// Objects that wait, by priority (alert StorefrontQueueStuck).
    pub queue_depth: IntGaugeVec,
    /// Objects that were put into a queue.
    pub queue_adds: IntCounterVec,
    /// Wait in the queue (panel "Queue").
    pub queue_seconds: HistogramVec,
    /// Time of work on one object.
    pub work_seconds: HistogramVec,
    /// Objects that were put back after a failure.
    pub queue_retries: IntCounterVec,
    /// Sum of the ages of the work under way, at the time of the scrape.
    pub unfinished_seconds: GaugeVec,
    /// Age of the oldest work under way, at the time of the scrape (alert StorefrontQueueStuck).
    pub longest_seconds: GaugeVec,
    /// Requests to the API server, by status code.
    pub requests: IntCounterVec,
    /// Requests that read: none but watches where nothing happens (figure "fan-out").
    pub reads: IntCounterVec,
    /// Requests that change something: zero at rest but for the Lease (alert StorefrontWriteStorm).
    pub writes: IntCounterVec,
    /// Time since each watch last received anything (alert StorefrontWatchDead).
    pub watch_age: GaugeVec,
    /// Kinds that the API server does not serve (alert StorefrontCrdMissing).
    pub crd_missing: IntGaugeVec,
    /// 1 while this process leads (alert StorefrontNoLeader).
    pub leader: IntGaugeVec,
    /// Outcomes as users see them: applied, waiting, invalid, failed, deleting, paused, undecodable.
    pub outcomes: IntCounterVec,
    /// Objects by kind, condition type and status, at the time of the scrape (panel "Conditions").
    pub conditions: IntGaugeVec,
    /// Statements on database servers, by purpose (panel "SQL").
    pub sql_statements: IntCounterVec,
    /// Readiness of each Storefront, for at most [`crate::health::NAMED_OBJECTS`] of them.
    pub storefront_ready: IntGaugeVec,
}

impl Metrics {
    /// Registers all series.
    #[expect(
        clippy::too_many_lines,
        reason = "a list of series, one after the other"
    )]
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new()?;
        let r = &registry;
        Ok(Self {
            reconcile_total: counters(
                r,
                "controller_runtime_reconcile_total",
                "Reconciliations, by controller and result",
                &["controller", "result"],
            )?,
            reconcile_errors: counters(
                r,
                "controller_runtime_reconcile_errors_total",
                "Reconciliations that failed",
                &["controller"],
            )?,
            reconcile_panics: counters(
                r,
                "controller_runtime_reconcile_panics_total",
                "Reconciliations that panicked",
                &["controller"],
            )?,
            reconcile_seconds: histograms(
                r,
                "controller_runtime_reconcile_time_seconds",
                "Time of one reconciliation",
                &["controller"],
            )?,
            max_concurrent: int_gauges(
                r,
                "controller_runtime_max_concurrent_reconciles",
                "Workers of a controller",
                &["controller"],
            )?,
            active_workers: int_gauges(
                r,
                "controller_runtime_active_workers",
                "Workers that are busy",
                &["controller"],
            )?,
            queue_depth: int_gauges(
                r,
                "workqueue_depth",
                "Objects that wait in the queue",
                &["name", "controller", "priority"],
            )?,
            queue_adds: counters(
                r,
                "workqueue_adds_total",
                "Objects put into the queue",
                QUEUE_LABELS,
            )?,
            queue_seconds: histograms(
                r,
                "workqueue_queue_duration_seconds",
                "Wait in the queue",
                QUEUE_LABELS,
            )?,
            work_seconds: histograms(
                r,
                "workqueue_work_duration_seconds",
                "Time of work on one object",
                QUEUE_LABELS,
            )?,
            queue_retries: counters(
                r,
                "workqueue_retries_total",
                "Objects put back after a failure",
                QUEUE_LABELS,
            )?,
            unfinished_seconds: gauges(
                r,
                "workqueue_unfinished_work_seconds",
                "Summed age of the work under way",
                QUEUE_LABELS,
            )?,
            longest_seconds: gauges(
                r,
                "workqueue_longest_running_processor_seconds",
                "Age of the oldest work under way",
                QUEUE_LABELS,
            )?,
            requests: counters(
                r,
                "rest_client_requests_total",
                "Requests to the API server",
                &["code", "method", "host"],
            )?,
            reads: counters(
                r,
                "storefront_operator_api_reads_total",
                "Requests to the API server that read, by verb and resource",
                &["verb", "resource"],
            )?,
            writes: counters(
                r,
                "storefront_operator_api_writes_total",
                "Requests to the API server that write, by verb and resource",
                &["verb", "resource"],
            )?,
            watch_age: gauges(
                r,
                "storefront_operator_watch_last_event_age_seconds",
                "Seconds since a watch last received an event, bookmark or answer",
                &["kind"],
            )?,
            crd_missing: int_gauges(
                r,
                "storefront_operator_crd_missing",
                "1 while the API server does not serve the kind",
                &["kind"],
            )?,
            leader: int_gauges(
                r,
                "leader_election_master_status",
                "1 while this process holds the Lease",
                &["name"],
            )?,
            outcomes: counters(
                r,
                "shop_operator_reconciles_total",
                "Reconciliations, by kind and outcome",
                &["kind", "outcome"],
            )?,
            conditions: int_gauges(
                r,
                "shop_operator_conditions",
                "Objects by kind, condition and status",
                &["kind", "type", "status"],
            )?,
            sql_statements: counters(
                r,
                "shop_operator_sql_statements_total",
                "Statements on database servers",
                &["purpose"],
            )?,
            storefront_ready: int_gauges(
                r,
                "shop_operator_storefront_ready",
                "1 for a Storefront that is ready; a bounded number of Storefronts is named",
                &["namespace", "name"],
            )?,
            registry,
        })
    }

    /// Shows the series of a controller from the start: an alert on what never happened yet must see a
    /// zero, not nothing.
    pub fn announce(&self, controller: &str) {
        for result in ["success", "error", "requeue", "requeue_after"] {
            self.reconcile_total
                .with_label_values(&[controller, result]);
        }
        self.reconcile_errors.with_label_values(&[controller]);
        self.reconcile_panics.with_label_values(&[controller]);
        self.reconcile_seconds.with_label_values(&[controller]);
        self.active_workers.with_label_values(&[controller]);
        let queue = [controller, controller];
        self.queue_adds.with_label_values(&queue);
        self.queue_seconds.with_label_values(&queue);
        self.work_seconds.with_label_values(&queue);
        self.queue_retries.with_label_values(&queue);
    }

    /// Notes one finished reconciliation.
    pub fn reconciled(&self, controller: &str, result: &str, took: Duration) {
        self.reconcile_total
            .with_label_values(&[controller, result])
            .inc();
        self.reconcile_seconds
            .with_label_values(&[controller])
            .observe(took.as_secs_f64());
    }

    /// Notes the outcome as users see it: applied, waiting, invalid, failed, deleting, paused, undecodable.
    pub fn outcome(&self, kind: &str, outcome: &'static str) {
        self.outcomes.with_label_values(&[kind, outcome]).inc();
    }
}

const QUEUE_LABELS: &[&str] = &["name", "controller"];

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    registry.register(IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, prometheus::Error> {
    registry.register(GaugeVec::new(Opts::new(name, help), labels)?)
}

fn int_gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    registry.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<HistogramVec, prometheus::Error> {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    registry.register(HistogramVec::new(options, labels)?)
}
