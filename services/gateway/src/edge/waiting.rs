//! Requests that wait for an endpoint.
//!
//! When the only pod of a Service is deleted, evicted or crashes, its successor is ready a few seconds later. In
//! between there is nobody to ask, unless the old pod still answers. A request that comes in this time waits,
//! since nothing of it was sent; a Service that had no ready endpoint for a while answers 503 at once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_routes::{ObjectName, Table};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long after its last ready endpoint a Service is waited for.
const RECENT: Duration = Duration::from_secs(30);
/// How long one request waits.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Requests of a worker that wait at the same time; more are refused.
const MAX_WAITING: usize = 512;

/// A Service and its port.
type Name = (ObjectName, u16);

/// What one worker knows of Services without a ready endpoint.
#[derive(Debug, Default)]
pub struct Waiting {
    /// When a Service lost its last ready endpoint.
    lost: RefCell<HashMap<Name, Instant>>,
    changed: Notify,
    count: Cell<usize>,
}

impl Waiting {
    /// A table replaces another one.
    pub fn replaced(&self, old: &Table, new: &Table) {
        let now = Instant::now();
        let mut lost = self.lost.borrow_mut();
        lost.retain(|_, since| now.duration_since(*since) < RECENT);
        let ready = |table: &Table| {
            let clusters = table.clusters().iter().filter(|cluster| cluster.is_ready);
            clusters
                .map(|cluster| (cluster.service.clone(), cluster.port))
                .collect::<Vec<Name>>()
        };
        for name in ready(old) {
            lost.insert(name, now);
        }
        for name in ready(new) {
            lost.remove(&name);
        }
        drop(lost);
        self.changed.notify_waiters();
    }

    fn lost_since(&self, service: &ObjectName, port: u16) -> Option<Instant> {
        let lost = self.lost.borrow();
        lost.get(&(service.clone(), port)).copied()
    }

    /// Waits until a Service has a ready endpoint again, for as long as that is worth it. `look` gives the
    /// addresses that are ready now.
    pub async fn endpoints(
        &self,
        service: &ObjectName,
        port: u16,
        deadline: Option<Instant>,
        look: impl Fn() -> Option<Arc<[SocketAddr]>>,
    ) -> Option<Arc<[SocketAddr]>> {
        if self.count.get() >= MAX_WAITING {
            return None;
        }
        self.lost_since(service, port)
            .filter(|since| since.elapsed() < RECENT)?;
        let until = Instant::now() + MAX_WAIT;
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let _place = Place::take(&self.count);
        loop {
            let changed = self.changed.notified();
            if let Some(endpoints) = look() {
                return Some(endpoints);
            }
            tokio::time::timeout_at(until, changed).await.ok()?;
        }
    }
}

/// One request that waits.
struct Place<'a>(&'a Cell<usize>);

impl<'a> Place<'a> {
    fn take(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
