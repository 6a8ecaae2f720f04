//! Workers: one thread each with a runtime, listening sockets and backend connections of its own, so
//! that a request never changes threads.

mod accept;
mod serve;
mod stall;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway_routes::ObjectName;
use http::Method;
use prometheus::{Histogram, IntCounter};
use tokio::sync::{Notify, watch};

pub use self::serve::run;
use crate::access_log::{AccessLog, LogSink};
use crate::config::Limits;
use crate::control::Published;
use crate::metrics::Metrics;
use crate::policy::issuers::Issuers;
use crate::policy::jwt::Gatekeeper;
use crate::policy::rate_limit::Limiter;
use crate::upstream::{Endpoints, RetryBudget};

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not at all.
    #[default]
    Serving,
    /// Still accepting, but asking clients to come back elsewhere.
    Leaving,
    /// Accepting nothing, finishing what is in work.
    Draining,
    /// Out of time.
    Cut,
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// Limits of the data plane.
    pub limits: Limits,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// Rate limits.
    pub limiter: Limiter,
    /// Keys of issuers.
    pub issuers: Issuers,
    /// Where access lines go.
    pub log: LogSink,
    /// What is served.
    pub published: watch::Receiver<Arc<Published>>,
    /// How far the process is.
    pub phase: watch::Receiver<Phase>,
    /// How long connections of a listener that is gone may go on.
    pub drain: Duration,
    /// When the process began.
    pub started: Instant,
    /// What each worker has reached.
    pub progress: Vec<Progress>,
}

/// How far one worker is.
#[derive(Debug, Default)]
pub struct Progress {
    applied: AtomicU64,
    unbound: AtomicUsize,
    beat: AtomicU64,
}

/// A worker that has not turned its loop for so long is stuck or dead.
const STUCK: Duration = Duration::from_secs(15);

impl Shared {
    /// Whether every worker's loop turns.
    pub fn is_alive(&self) -> bool {
        let now = self.started.elapsed().as_secs();
        let last = |progress: &Progress| progress.beat.load(Ordering::Relaxed);
        self.progress
            .iter()
            .all(|progress| now.saturating_sub(last(progress)) <= STUCK.as_secs())
    }

    /// Worker number `index` turned its loop.
    fn beat(&self, index: usize) {
        let now = self.started.elapsed().as_secs();
        if let Some(progress) = self.progress.get(index) {
            progress.beat.store(now, Ordering::Relaxed);
        }
    }

    /// Why no traffic should come here, if so.
    pub fn not_ready(&self) -> Option<&'static str> {
        if *self.phase.borrow() > Phase::Serving {
            return Some("draining");
        }
        let generation = self.published.borrow().generation;
        if generation == 0 {
            return Some("no configuration yet");
        }
        let unbound = |progress: &Progress| progress.unbound.load(Ordering::Relaxed) > 0;
        if self.progress.iter().any(unbound) {
            return Some("a listener's port could not be bound");
        }
        let is_new = |progress: &Progress| progress.applied.load(Ordering::Relaxed) == 0;
        self.progress
            .iter()
            .any(is_new)
            .then_some("workers are starting")
    }

    /// Whether every worker serves at least this generation.
    pub fn serves(&self, generation: u64) -> bool {
        self.progress.iter().all(|progress| {
            progress.applied.load(Ordering::Relaxed) >= generation
                && progress.unbound.load(Ordering::Relaxed) == 0
        })
    }
}

/// What is served, counted on one thread.
#[derive(Debug)]
pub struct InForce(Arc<Published>);

impl Deref for InForce {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.0
    }
}

/// HTTPRoute, method and status.
type Series = (Option<Arc<str>>, &'static str, u16);

/// One worker. Lives on one thread only.
#[derive(Debug)]
pub struct Worker {
    /// What is shared with the others.
    pub shared: Arc<Shared>,
    /// Backends.
    pub endpoints: Endpoints,
    /// Second tries.
    pub budget: RetryBudget,
    /// Tokens.
    pub gatekeeper: Gatekeeper,
    /// Access lines.
    pub log: AccessLog,
    /// Requests over connections that had served before.
    pub reused: IntCounter,
    published: RefCell<Rc<InForce>>,
    phase: Cell<Phase>,
    live: Cell<usize>,
    one_less: Notify,
    ids: Cell<u64>,
    durations: RefCell<HashMap<Series, Histogram>>,
    upstreams: RefCell<HashMap<Arc<str>, Histogram>>,
}

impl Worker {
    /// A worker without connections.
    pub fn new(shared: Arc<Shared>, seed: u64) -> Self {
        let published = Rc::new(InForce(shared.published.borrow().clone()));
        Self {
            endpoints: Endpoints::default(),
            budget: RetryBudget::default(),
            gatekeeper: Gatekeeper::default(),
            log: AccessLog::new(shared.log.clone()),
            reused: shared
                .metrics
                .upstream_connections
                .with_label_values(&["reused"]),
            published: RefCell::new(published),
            phase: Cell::default(),
            live: Cell::new(0),
            one_less: Notify::new(),
            ids: Cell::new(seed),
            durations: RefCell::default(),
            upstreams: RefCell::default(),
            shared,
        }
    }

    /// Series.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Limits.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// What is served now. Counted on this thread only: no request touches a shared counter for it.
    pub fn published(&self) -> Rc<InForce> {
        self.published.borrow().clone()
    }

    fn replace(&self, published: Arc<Published>) {
        let addresses = published
            .table
            .clusters()
            .iter()
            .flat_map(|cluster| cluster.endpoints.iter().copied())
            .collect();
        self.endpoints.retain(&addresses);
        self.gatekeeper.forget();
        self.durations.borrow_mut().clear();
        self.upstreams.borrow_mut().clear();
        *self.published.borrow_mut() = Rc::new(InForce(published));
    }

    /// Whether clients are asked to come back elsewhere.
    pub fn is_draining(&self) -> bool {
        self.phase.get() > Phase::Serving
    }

    /// Keeps the worker alive until dropped.
    pub fn hold(self: &Rc<Self>) -> Hold {
        self.live.set(self.live.get() + 1);
        Hold {
            worker: self.clone(),
        }
    }

    /// An id for a request that came without one.
    pub fn mint_request_id(&self) -> String {
        format!("{:016x}{:016x}", self.random(), self.random())
    }

    /// SplitMix64: ids have to differ, nobody has to be unable to guess them.
    fn random(&self) -> u64 {
        let state = self.ids.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.ids.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A request is over.
    pub fn observe(&self, method: &Method, route: Option<&Arc<str>>, status: u16, took: Duration) {
        let method = known_method(method);
        let mut durations = self.durations.borrow_mut();
        let histogram = durations
            .entry((route.cloned(), method, status))
            .or_insert_with(|| {
                let route = route.map(|route| &**route).unwrap_or_default();
                self.metrics().duration(method, route, &status.to_string())
            });
        histogram.observe(took.as_secs_f64());
    }

    /// A backend began to answer.
    pub fn observe_upstream(&self, route: &Arc<str>, took: Duration) {
        let mut upstreams = self.upstreams.borrow_mut();
        let histogram = upstreams
            .entry(route.clone())
            .or_insert_with(|| self.metrics().upstream(route));
        histogram.observe(took.as_secs_f64());
    }

    /// What became of a token.
    pub fn count_jwt(&self, policy: &ObjectName, outcome: &str) {
        let policy = policy.to_string();
        self.metrics()
            .jwt
            .with_label_values(&[policy.as_str(), outcome])
            .inc();
    }
}

/// Methods are whatever clients make up: series are not.
pub(crate) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Something that a worker has to wait for on its way out.
#[derive(Debug)]
pub struct Hold {
    worker: Rc<Worker>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.live.set(worker.live.get().saturating_sub(1));
        worker.one_less.notify_waiters();
    }
}
