//! What requests need of their worker and of the process.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::request_id::RequestIds;
use super::series::Series;
use super::waiting::Waiting;
use crate::access_log::{AccessLog, LogSink};
use crate::config::Limits;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::policy::issuers::Issuers;
use crate::policy::jwt::TokenMemory;
use crate::policy::rate_limit::Limiter;
use crate::pool::Pool;
use crate::published::{Published, Snapshot};

/// What the requests of all workers share.
#[derive(Debug)]
pub struct Resources {
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub limiter: Limiter,
    pub issuers: Issuers,
}

/// The state of one worker. It stays on the thread of the worker, so a request touches no lock for it.
#[derive(Debug)]
pub struct WorkerState {
    pub resources: Arc<Resources>,
    pub pool: Pool,
    pub tokens: TokenMemory,
    pub log: AccessLog,
    pub series: Series,
    pub request_ids: RequestIds,
    pub live: Rc<Live>,
    pub waiting: Waiting,
    published: RefCell<Rc<Snapshot>>,
    is_draining: Cell<bool>,
}

impl WorkerState {
    /// The state of a worker without connections. Its request ids follow from `seed`.
    pub fn new(
        resources: Arc<Resources>,
        log: LogSink,
        published: Arc<Published>,
        seed: u64,
    ) -> Self {
        let metrics = resources.metrics.clone();
        Self {
            pool: Pool::new(&resources.limits, metrics.clone()),
            tokens: TokenMemory::default(),
            log: AccessLog::new(log),
            series: Series::new(metrics),
            request_ids: RequestIds::new(seed),
            live: Rc::default(),
            waiting: Waiting::default(),
            published: RefCell::new(Rc::new(Snapshot::new(published))),
            is_draining: Cell::new(false),
            resources,
        }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.resources.metrics
    }

    pub fn limits(&self) -> &Limits {
        &self.resources.limits
    }

    /// What is served now. A request keeps the snapshot that it began with.
    pub fn published(&self) -> Rc<Snapshot> {
        self.published.borrow().clone()
    }

    /// Serves a new configuration. Whatever was remembered under the old one goes.
    pub fn publish(&self, published: Arc<Published>) {
        let clusters = published.table.clusters().iter();
        let addresses = clusters
            .flat_map(|cluster| cluster.endpoints.iter().copied())
            .collect();
        self.pool.retain(&addresses);
        self.tokens.forget();
        self.series.forget();
        let new = Rc::new(Snapshot::new(published));
        let old = self.published.replace(new.clone());
        self.waiting.replaced(&old.table, &new.table);
    }

    /// From now on responses ask clients to reconnect elsewhere.
    pub fn start_draining(&self) {
        self.is_draining.set(true);
    }

    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }
}
