//! Every series of the gateway.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Instant;

use chassis::Registry;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
};

const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The series and their registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    duration: HistogramVec,
    upstream: HistogramVec,
    routes: Mutex<HashSet<(String, String, String)>>,
    published_at: Mutex<Option<Instant>>,
    config_age: IntGauge,
    /// Requests in progress.
    pub active: IntGauge,
    /// Client connections, by listener protocol.
    pub connections: IntCounterVec,
    /// Client connections that are open.
    pub open_connections: IntGauge,
    /// Attempts to connect to a backend, by outcome.
    pub upstream_connections: IntCounterVec,
    /// Retries, by reason.
    pub retries: IntCounterVec,
    /// Endpoints ejected after failed connections.
    pub ejections: IntCounter,
    /// Generation of the published table.
    pub config_generation: IntGauge,
    /// Requests refused by rate limit, by limit.
    pub rate_limited: IntCounterVec,
    /// Verified and refused tokens, by policy.
    pub jwt: IntCounterVec,
    /// Fetches of key sets, by outcome.
    pub jwks_fetches: IntCounterVec,
    waits: IntCounterVec,
    dropped_headers: IntCounterVec,
    /// Failed watches, and objects that cannot be decoded, by kind.
    pub watch_errors: IntCounterVec,
    /// Listeners whose port could not be bound.
    pub bind_failures: IntCounter,
    /// Access lines dropped because the log is not read fast enough.
    pub log_dropped: IntCounter,
}

impl Metrics {
    /// Registers all series.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new()?;
        let counter = |name: &str, help: &str| add(&registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| add(&registry, IntGauge::new(name, help)?);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            add(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels)?,
            )
        };
        let (duration, upstream) = durations(&registry)?;
        let [waits, dropped_headers, rate_limited] = of_clients(&registry)?;
        Ok(Self {
            duration,
            upstream,
            routes: Mutex::default(),
            published_at: Mutex::default(),
            config_age: gauge("gateway_config_age_seconds", "Age of the routing table")?,
            active: gauge("http_server_active_requests", "Requests in progress")?,
            connections: counters(
                "gateway_connections_total",
                "Client connections: accepted, tls_failed",
                &["outcome"],
            )?,
            open_connections: gauge("gateway_connections_open", "Open client connections")?,
            upstream_connections: counters(
                "gateway_upstream_connections_total",
                "Connections to backends: opened, reused, failed, refused, tls_required",
                &["outcome"],
            )?,
            retries: counters(
                "gateway_upstream_retries_total",
                "Retries, by reason: connect, unsent, broken; and over_budget",
                &["reason"],
            )?,
            ejections: counter(
                "gateway_endpoint_ejections_total",
                "Endpoints ejected after failed connections",
            )?,
            config_generation: gauge("gateway_config_generation", "Published routing tables")?,
            rate_limited,
            jwt: counters(
                "gateway_jwt_total",
                "Tokens: passed, anonymous, absent, invalid, forbidden, no_keys",
                &["policy", "outcome"],
            )?,
            jwks_fetches: counters(
                "gateway_jwks_fetches_total",
                "Fetches of key sets: fetched, failed",
                &["outcome"],
            )?,
            waits,
            dropped_headers,
            watch_errors: counters(
                "gateway_watch_errors_total",
                "Failed watches (watch) and objects that cannot be decoded (object), by kind",
                &["kind", "error"],
            )?,
            bind_failures: counter(
                "gateway_listener_bind_failures_total",
                "Failed attempts to bind a listener's port",
            )?,
            log_dropped: counter(
                "gateway_access_log_dropped_total",
                "Access lines dropped because the log is not read fast enough",
            )?,
            registry,
        })
    }

    /// The Prometheus text format.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let published_at = *lock(&self.published_at);
        let age = published_at.map_or(0, |at| at.elapsed().as_secs());
        self.config_age.set(i64::try_from(age).unwrap_or(i64::MAX));
        self.registry.render()
    }

    /// The registry, for series of other crates.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The histogram of one kind of request, to be kept by workers.
    pub fn duration(&self, method: &str, route: &str, status: &str) -> Histogram {
        let key = (method.to_owned(), route.to_owned(), status.to_owned());
        lock(&self.routes).insert(key);
        self.duration.with_label_values(&[method, route, status])
    }

    /// The histogram of the backends of one route, to be kept by workers.
    pub fn upstream(&self, route: &str) -> Histogram {
        self.upstream.with_label_values(&[route])
    }

    /// A request found no endpoint, and waited for one or not.
    pub fn waited(&self, has_ended: bool) {
        let outcome = if has_ended { "ended" } else { "refused" };
        self.waits.with_label_values(&[outcome]).inc();
    }

    /// Header fields of clients were not passed on, by reason.
    pub fn dropped(&self, counts: [(&str, u64); 3]) {
        for (reason, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            let series = self.dropped_headers.with_label_values(&[reason]);
            series.inc_by(count);
        }
    }

    /// A new table was published: the series of routes that are gone are removed.
    pub fn published(&self, generation: u64, routes: &HashSet<&str>) {
        *lock(&self.published_at) = Some(Instant::now());
        self.config_generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
        lock(&self.routes).retain(|(method, route, status)| {
            let stays = route.is_empty() || routes.contains(route.as_str());
            if !stays {
                // An error means that the series is already removed.
                let _ = self.duration.remove_label_values(&[method, route, status]);
                let _ = self.upstream.remove_label_values(&[route]);
            }
            stays
        });
    }
}

fn durations(registry: &Registry) -> Result<(HistogramVec, HistogramVec), prometheus::Error> {
    let make = |name: &str, help: &str, labels: &[&str]| {
        let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
        add(registry, HistogramVec::new(options, labels)?)
    };
    let requests = make(
        "http_server_request_duration_seconds",
        "Duration of requests until the last byte of the response, by method, HTTPRoute and status",
        &[
            "http_request_method",
            "http_route",
            "http_response_status_code",
        ],
    )?;
    let upstream = make(
        "gateway_upstream_duration_seconds",
        "Time until a backend began to respond, by HTTPRoute",
        &["http_route"],
    )?;
    Ok((requests, upstream))
}

/// What clients send and wait for.
fn of_clients(registry: &Registry) -> Result<[IntCounterVec; 3], prometheus::Error> {
    let make = |name: &str, help: &str, label: &str| {
        let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
        add(registry, counter)
    };
    let waits = make(
        "gateway_upstream_waits_total",
        "Requests without a ready endpoint: ended (there was one soon), refused",
        "outcome",
    )?;
    let dropped = make(
        "gateway_dropped_headers_total",
        "Header fields of clients that were not passed on: forwarding, identity, underscore",
        "reason",
    )?;
    let limited = make(
        "gateway_rate_limited_total",
        "Requests refused by rate limit, by limit",
        "limit",
    )?;
    Ok([waits, dropped, limited])
}

fn add<C: Collector + Clone + 'static>(
    registry: &Registry,
    series: C,
) -> Result<C, prometheus::Error> {
    registry.register(series)
}

/// Locks here guard plain values, which a panic elsewhere cannot leave half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
