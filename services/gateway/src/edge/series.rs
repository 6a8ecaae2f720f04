//! Histograms that a worker keeps at hand: looking them up by label values takes a lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_routes::ObjectName;
use http::Method;
use prometheus::Histogram;
use traces::http::method_label;

use crate::metrics::Metrics;

/// HTTPRoute, method and status.
type Key = (Option<Arc<str>>, &'static str, u16);

#[derive(Debug)]
pub struct Series {
    metrics: Arc<Metrics>,
    durations: RefCell<HashMap<Key, Histogram>>,
    upstreams: RefCell<HashMap<Arc<str>, Histogram>>,
}

impl Series {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            durations: RefCell::default(),
            upstreams: RefCell::default(),
        }
    }

    /// Routes may be gone: their series must not be kept alive from here.
    pub fn forget(&self) {
        self.durations.borrow_mut().clear();
        self.upstreams.borrow_mut().clear();
    }

    pub fn observe(&self, method: &Method, route: Option<&Arc<str>>, status: u16, took: Duration) {
        let method = method_label(method);
        let mut durations = self.durations.borrow_mut();
        let histogram = durations
            .entry((route.cloned(), method, status))
            .or_insert_with(|| {
                let route = route.map(|route| &**route).unwrap_or_default();
                self.metrics.duration(method, route, &status.to_string())
            });
        histogram.observe(took.as_secs_f64());
    }

    /// The time until a backend began to respond.
    pub fn observe_upstream(&self, route: &Arc<str>, took: Duration) {
        let mut upstreams = self.upstreams.borrow_mut();
        let histogram = upstreams
            .entry(route.clone())
            .or_insert_with(|| self.metrics.upstream(route));
        histogram.observe(took.as_secs_f64());
    }

    pub fn count_token(&self, policy: &ObjectName, outcome: &str) {
        let policy = policy.to_string();
        let labels = [policy.as_str(), outcome];
        self.metrics.jwt.with_label_values(&labels).inc();
    }
}
