//! One endpoint as one worker sees it. Health belongs to the endpoint, not to the route, so that a failure
//! on one route counts for all others.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::patient::Patient;
use crate::metrics::Metrics;

/// Idle connections kept for each endpoint.
const MAX_IDLE: usize = 128;
/// Shorter than common servers keep idle connections, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that fail in a row before an endpoint is ejected.
pub(super) const FAILURES: u32 = 3;
/// First and longest ejection; each one is twice as long as the one before.
const EJECTION: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// One address, its idle connections and its health.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    idle: RefCell<Vec<(SendRequest<RequestBody>, Instant)>>,
    leased: Cell<u32>,
    failures: Cell<u32>,
    ejections: Cell<u32>,
    ejected_until: Cell<Option<Instant>>,
    is_retired: Cell<bool>,
}

/// A connection in use by one request.
#[derive(Debug)]
pub struct Lease {
    pub endpoint: Rc<Endpoint>,
    sender: Option<SendRequest<RequestBody>>,
    /// Whether earlier requests used the connection.
    pub is_reused: bool,
}

impl Endpoint {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: RefCell::default(),
            leased: Cell::new(0),
            failures: Cell::new(0),
            ejections: Cell::new(0),
            ejected_until: Cell::new(None),
            is_retired: Cell::new(false),
        }
    }

    /// Requests in progress.
    pub fn leased(&self) -> u32 {
        self.leased.get()
    }

    pub fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.get().is_some_and(|until| now < until)
    }

    /// An idle connection, if one is still open.
    pub async fn reuse(self: &Rc<Self>) -> Option<Lease> {
        loop {
            let (mut sender, since) = self.idle.borrow_mut().pop()?;
            if sender.is_closed() || since.elapsed() > IDLE_TIMEOUT {
                continue;
            }
            if !sender.is_ready() && sender.ready().await.is_err() {
                continue;
            }
            return Some(self.lease(sender, true));
        }
    }

    pub async fn connect(self: &Rc<Self>, limit: Duration) -> Result<Lease, std::io::Error> {
        let connecting = TcpStream::connect(self.address);
        let stream = tokio::time::timeout(limit, connecting)
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(Patient::new(stream)))
            .await
            .map_err(std::io::Error::other)?;
        // How it ends shows at the sender, which is the only one to react to it.
        crate::spawn_local(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(self.lease(sender, false))
    }

    fn lease(self: &Rc<Self>, sender: SendRequest<RequestBody>, is_reused: bool) -> Lease {
        self.leased.set(self.leased.get() + 1);
        Lease {
            endpoint: self.clone(),
            sender: Some(sender),
            is_reused,
        }
    }

    pub fn succeeded(&self) {
        self.failures.set(0);
        self.ejections.set(0);
        self.ejected_until.set(None);
    }

    /// A connection failed: after some in a row the endpoint is ejected for a while.
    pub fn failed(&self, metrics: &Metrics) {
        self.failures.set(self.failures.get() + 1);
        if self.failures.get() < FAILURES {
            return;
        }
        let times = self.ejections.get();
        let length = EJECTION.0.saturating_mul(1 << times.min(5)).min(EJECTION.1);
        self.ejections.set(times + 1);
        // After the ejection a single failure is enough for the next one.
        self.failures.set(FAILURES - 1);
        self.ejected_until.set(Some(Instant::now() + length));
        metrics.ejections.inc();
        tracing::warn!(endpoint = %self.address, secs = length.as_secs(), "endpoint ejected");
    }

    /// No cluster names the endpoint any more: what is in progress goes on, nothing is kept.
    pub fn retire(&self) {
        self.is_retired.set(true);
        self.close_idle();
    }

    pub fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Closes connections that were idle for too long.
    pub fn sweep(&self) {
        self.idle
            .borrow_mut()
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() <= IDLE_TIMEOUT);
    }
}

impl Lease {
    pub fn sender(&mut self) -> Option<&mut SendRequest<RequestBody>> {
        self.sender.as_mut()
    }

    /// Returns the connection to the pool, once request and response are complete.
    pub fn give_back(mut self) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        if sender.is_closed() || self.endpoint.is_retired.get() {
            return;
        }
        let mut idle = self.endpoint.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push((sender, Instant::now()));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint
            .leased
            .set(self.endpoint.leased.get().saturating_sub(1));
    }
}
