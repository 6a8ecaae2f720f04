//! Endpoints as one worker sees them. Health belongs to the endpoint, not to the route, so that what
//! one route learned spares all others.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::edge::RequestBody;
use crate::metrics::Metrics;

/// Idle connections kept for each endpoint.
const MAX_IDLE: usize = 128;
/// Shorter than common servers keep idle connections, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that fail in a row before an endpoint is taken out.
const FAILURES: u32 = 3;
/// How long an endpoint is out, doubling.
const EJECTED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// One address and what is known about it.
#[derive(Debug)]
pub struct Endpoint {
    /// The address.
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
    /// The endpoint.
    pub endpoint: Rc<Endpoint>,
    sender: Option<SendRequest<RequestBody>>,
    /// Whether earlier requests used the connection.
    pub is_reused: bool,
}

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
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

    /// Requests in work.
    pub fn leased(&self) -> u32 {
        self.leased.get()
    }

    fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.get().is_some_and(|until| now < until)
    }

    /// A connection that waits for work, if one is alive.
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

    /// A new connection.
    pub async fn connect(self: &Rc<Self>, limit: Duration) -> Result<Lease, std::io::Error> {
        let connecting = TcpStream::connect(self.address);
        let stream = tokio::time::timeout(limit, connecting)
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        // Its end shows at the sender; there is nobody else to tell.
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

    /// The endpoint could be reached.
    pub fn succeeded(&self) {
        self.failures.set(0);
        self.ejections.set(0);
        self.ejected_until.set(None);
    }

    /// The endpoint could not be reached.
    pub fn failed(&self, metrics: &Metrics) {
        self.failures.set(self.failures.get() + 1);
        if self.failures.get() < FAILURES {
            return;
        }
        let times = self.ejections.get();
        let length = EJECTED.0.saturating_mul(1 << times.min(5)).min(EJECTED.1);
        self.ejections.set(times + 1);
        // One more failure after the pause is enough for the next one.
        self.failures.set(FAILURES - 1);
        self.ejected_until.set(Some(Instant::now() + length));
        metrics.ejections.inc();
        tracing::warn!(endpoint = %self.address, secs = length.as_secs(), "endpoint is taken out");
    }

    /// Ends the connections that wait.
    pub fn drop_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    fn sweep(&self) {
        self.idle
            .borrow_mut()
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() <= IDLE_TIMEOUT);
    }
}

impl Lease {
    /// The connection.
    pub fn sender(&mut self) -> Option<&mut SendRequest<RequestBody>> {
        self.sender.as_mut()
    }

    /// Request and answer are complete: the next request may use the connection.
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

/// All endpoints of one worker.
#[derive(Debug, Default)]
pub struct Endpoints {
    known: RefCell<HashMap<SocketAddr, Rc<Endpoint>>>,
    turn: Cell<usize>,
}

impl Endpoints {
    /// The endpoint for the next request: in turn, but of two neighbours the one with less work;
    /// endpoints that are taken out only when all are. `avoid` has just failed.
    pub fn pick(
        &self,
        addresses: &[SocketAddr],
        avoid: Option<SocketAddr>,
    ) -> Option<Rc<Endpoint>> {
        let now = Instant::now();
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let rotated = || {
            let (back, front) = addresses.split_at(turn % addresses.len().max(1));
            front.iter().chain(back)
        };
        let mut healthy = rotated()
            .filter(|address| addresses.len() == 1 || Some(**address) != avoid)
            .map(|address| self.get(*address))
            .filter(|endpoint| !endpoint.is_ejected(now));
        let Some(first) = healthy.next() else {
            return rotated().next().map(|address| self.get(*address));
        };
        match healthy.next() {
            Some(second) if second.leased() < first.leased() => Some(second),
            _ => Some(first),
        }
    }

    fn get(&self, address: SocketAddr) -> Rc<Endpoint> {
        let mut known = self.known.borrow_mut();
        known
            .entry(address)
            .or_insert_with(|| Rc::new(Endpoint::new(address)))
            .clone()
    }

    /// Endpoints that no cluster has any more get no more requests; their idle connections end, what is
    /// in work goes on.
    pub fn retain(&self, addresses: &HashSet<SocketAddr>) {
        self.known.borrow_mut().retain(|address, endpoint| {
            let stays = addresses.contains(address);
            if !stays {
                endpoint.is_retired.set(true);
                endpoint.drop_idle();
            }
            stays
        });
    }

    /// Ends connections that waited too long.
    pub fn sweep(&self) {
        self.known
            .borrow()
            .values()
            .for_each(|endpoint| endpoint.sweep());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect()
    }

    #[test]
    fn endpoints_take_turns_and_the_one_that_failed_is_avoided() {
        let (endpoints, all) = (Endpoints::default(), addresses(3));
        let ports: Vec<u16> = (0..6)
            .filter_map(|_| endpoints.pick(&all, None))
            .map(|endpoint| endpoint.address.port())
            .collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
        let avoided = (0..6).filter_map(|_| endpoints.pick(&all, Some(all[0])));
        assert!(
            avoided
                .into_iter()
                .all(|endpoint| endpoint.address != all[0])
        );
    }

    #[test]
    fn an_endpoint_that_fails_is_taken_out_but_never_the_last_one() {
        let metrics = Metrics::new().expect("metrics");
        let (endpoints, all) = (Endpoints::default(), addresses(2));
        let first = endpoints.get(all[0]);
        (0..FAILURES).for_each(|_| first.failed(&metrics));
        let picked = || endpoints.pick(&all, None).map(|endpoint| endpoint.address);
        assert!((0..4).all(|_| picked() == Some(all[1])));
        let second = endpoints.get(all[1]);
        (0..FAILURES).for_each(|_| second.failed(&metrics));
        assert!(picked().is_some());
        first.succeeded();
        assert!((0..4).all(|_| picked() == Some(all[0])));
    }
}
