//! All endpoints of one worker, and which of them gets the next request.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::endpoint::Endpoint;

#[derive(Debug, Default)]
pub struct Endpoints {
    known: RefCell<HashMap<SocketAddr, Rc<Endpoint>>>,
    turn: Cell<usize>,
}

impl Endpoints {
    /// The endpoint for the next request: round robin, but of two neighbours the one with fewer requests in
    /// progress. Ejected endpoints are taken only when all are ejected; `avoid` has just failed.
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

    /// Retires the endpoints that are not among `addresses`.
    pub fn retain(&self, addresses: &HashSet<SocketAddr>) {
        self.known.borrow_mut().retain(|address, endpoint| {
            let stays = addresses.contains(address);
            if !stays {
                endpoint.retire();
            }
            stays
        });
    }

    /// Closes connections that were idle for too long.
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
    use crate::metrics::Metrics;
    use crate::pool::endpoint::FAILURES;

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
    fn an_endpoint_that_fails_is_ejected_but_never_the_last_one() {
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
