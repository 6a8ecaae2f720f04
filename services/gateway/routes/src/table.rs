//! The routing table: immutable, and flat to look up however many routes there are.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderName;

use crate::ObjectName;
use crate::hostname::Pattern;
use crate::matcher::{Predicates, RequestHead};
use crate::rule::RouteRule;
use crate::settings::Settings;

/// Everything that one gateway serves.
#[derive(Debug, Default)]
pub struct Table {
    /// The gateway.
    pub gateway: ObjectName,
    /// Its settings.
    pub settings: Settings,
    pub(crate) ports: BTreeMap<u16, PortTable>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) identity_headers: Vec<HeaderName>,
}

/// A port of a Service and the endpoints behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The Service.
    pub service: ObjectName,
    /// The Service's port.
    pub port: u16,
    /// Those that are ready, sorted; where none is, those that serve while they terminate.
    pub endpoints: Arc<[SocketAddr]>,
    /// Whether they are ready.
    pub is_ready: bool,
}

/// What is served on one port.
#[derive(Debug)]
pub struct PortTable {
    /// As clients see it.
    pub port: u16,
    /// Whether connections begin with a TLS handshake.
    pub is_tls: bool,
    pub(crate) listeners: HostMap<Arc<ListenerTable>>,
}

/// What one listener serves.
#[derive(Debug)]
pub struct ListenerTable {
    /// The listener's name in the gateway.
    pub name: Box<str>,
    /// Secrets with the certificates, usable ones only.
    pub certificates: Vec<ObjectName>,
    pub(crate) routes: HostMap<PathIndex>,
}

/// A rule that a request fits.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The rule.
    pub rule: &'t Arc<RouteRule>,
    /// The matched path prefix without a slash at its end; the whole path for an exact match.
    pub prefix_len: usize,
}

impl Table {
    /// The ports to listen on.
    pub fn ports(&self) -> impl Iterator<Item = &PortTable> {
        self.ports.values()
    }

    /// What is served on a port.
    pub fn port(&self, port: u16) -> Option<&PortTable> {
        self.ports.get(&port)
    }

    /// The port on which a host is served with TLS: 443 where that is one, else the lowest.
    pub fn tls_port(&self, host: &str) -> Option<u16> {
        let serves = |port: &&PortTable| port.is_tls && port.listener(host).is_some();
        let standard = self.ports.get(&443).filter(serves);
        let port = standard.or_else(|| self.ports.values().find(serves))?;
        Some(port.port)
    }

    /// The cluster that a backend names.
    pub fn cluster(&self, index: usize) -> Option<&Cluster> {
        self.clusters.get(index)
    }

    /// All rules, once for each match.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<RouteRule>> {
        self.ports
            .values()
            .flat_map(|port| port.listeners.values())
            .flat_map(|listener| listener.routes.values())
            .flat_map(PathIndex::candidates)
            .map(|candidate| &candidate.rule)
    }

    /// All clusters in use.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Headers that some policy fills from claims: what clients send under these names is dropped on
    /// every route, since a backend cannot tell which route a request came by.
    pub fn identity_headers(&self) -> &[HeaderName] {
        &self.identity_headers
    }
}

impl PortTable {
    /// The listener for a host: only the most specific one, so listeners stay isolated.
    pub fn listener(&self, host: &str) -> Option<&Arc<ListenerTable>> {
        self.listeners.walk(host).next()
    }

    /// The listeners' names by host, for a resolver that outlives the table.
    pub fn hosts(&self) -> Hosts {
        Hosts {
            names: self.listeners.map(|listener| listener.name.clone()),
        }
    }

    /// All listeners on the port.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<ListenerTable>> {
        self.listeners.values()
    }
}

impl ListenerTable {
    /// The rule for a request: most specific host first, then the precedence of the standard.
    pub fn find(&self, head: &RequestHead<'_>) -> Option<Matched<'_>> {
        self.routes
            .walk(head.host)
            .find_map(|index| index.find(head))
    }
}

/// Which listener a host belongs to.
#[derive(Debug)]
pub struct Hosts {
    names: HostMap<Box<str>>,
}

impl Hosts {
    /// The name of the listener for a host.
    pub fn listener(&self, host: &str) -> Option<&str> {
        self.names.walk(host).next().map(|name| &**name)
    }
}

/// Values by host pattern.
#[derive(Debug)]
pub(crate) struct HostMap<T> {
    exact: HashMap<Box<str>, T>,
    suffix: HashMap<Box<str>, T>,
    any: Option<T>,
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            suffix: HashMap::new(),
            any: None,
        }
    }
}

impl<T> HostMap<T> {
    /// The slot of a pattern, filled by `make` when empty.
    pub fn slot(&mut self, pattern: Pattern, make: impl FnOnce() -> T) -> &mut T {
        match pattern {
            Pattern::Exact(host) => self.exact.entry(host).or_insert_with(make),
            Pattern::Suffix(suffix) => self.suffix.entry(suffix).or_insert_with(make),
            Pattern::Any => self.any.get_or_insert_with(make),
        }
    }

    /// The values whose patterns select `host`, most specific first.
    pub fn walk<'s, 'h>(&'s self, host: &'h str) -> impl Iterator<Item = &'s T> + use<'s, 'h, T> {
        let exact = self.exact.get(host);
        let dots: &'h str = if self.suffix.is_empty() { "" } else { host };
        let suffixes = dots
            .match_indices('.')
            .filter(|(at, _)| *at > 0)
            .filter_map(|(at, _)| self.suffix.get(&host[at + 1..]));
        exact.into_iter().chain(suffixes).chain(&self.any)
    }

    pub fn map<U>(&self, change: impl Fn(&T) -> U) -> HostMap<U> {
        let all = |map: &HashMap<Box<str>, T>| {
            map.iter()
                .map(|(host, value)| (host.clone(), change(value)))
                .collect()
        };
        HostMap {
            exact: all(&self.exact),
            suffix: all(&self.suffix),
            any: self.any.as_ref().map(&change),
        }
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.exact
            .values()
            .chain(self.suffix.values())
            .chain(&self.any)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.exact
            .values_mut()
            .chain(self.suffix.values_mut())
            .chain(&mut self.any)
    }
}

/// The rules of one host by path.
#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    exact: HashMap<Box<str>, Vec<Candidate>>,
    prefixes: Node,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    candidates: Vec<Candidate>,
}

/// A match of a rule, in the list of its path.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub predicates: Predicates,
    pub rule: Arc<RouteRule>,
    pub order: Order,
}

/// What decides between matches with the same path, smallest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub without_method: bool,
    pub headers: std::cmp::Reverse<usize>,
    pub parameters: std::cmp::Reverse<usize>,
    pub created: i64,
    pub route: ObjectName,
    pub position: (usize, usize),
}

impl PathIndex {
    pub fn insert_exact(&mut self, path: Box<str>, candidate: Candidate) {
        self.exact.entry(path).or_default().push(candidate);
    }

    pub fn insert_prefix(&mut self, prefix: &str, candidate: Candidate) {
        let mut node = &mut self.prefixes;
        for segment in prefix.split('/').skip(1) {
            node = node.children.entry(segment.into()).or_default();
        }
        node.candidates.push(candidate);
    }

    /// To be called once after the last insert.
    pub fn sort(&mut self) {
        self.exact
            .values_mut()
            .for_each(|list| list.sort_by(|a, b| a.order.cmp(&b.order)));
        self.prefixes.sort();
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        let mut below = Vec::new();
        self.prefixes.collect(&mut below);
        self.exact.values().flatten().chain(below)
    }

    fn find(&self, head: &RequestHead<'_>) -> Option<Matched<'_>> {
        self.exact
            .get(head.path)
            .and_then(|list| first(list, head))
            .map(|rule| Matched {
                rule,
                prefix_len: head.path.len(),
            })
            .or_else(|| self.prefixes.find(head, 0))
    }
}

impl Node {
    fn sort(&mut self) {
        self.candidates.sort_by(|a, b| a.order.cmp(&b.order));
        self.children.values_mut().for_each(Self::sort);
    }

    fn collect<'t>(&'t self, into: &mut Vec<&'t Candidate>) {
        into.extend(&self.candidates);
        self.children.values().for_each(|child| child.collect(into));
    }

    /// Deeper nodes first. The depth is that of the longest prefix of a route, whatever is asked for.
    fn find(&self, head: &RequestHead<'_>, at: usize) -> Option<Matched<'_>> {
        let deeper = || {
            let rest = head.path.get(at..)?.strip_prefix('/')?;
            let segment = rest.split('/').next().unwrap_or_default();
            self.children
                .get(segment)?
                .find(head, at + 1 + segment.len())
        };
        let below = if self.children.is_empty() {
            None
        } else {
            deeper()
        };
        below.or_else(|| {
            first(&self.candidates, head).map(|rule| Matched {
                rule,
                prefix_len: at,
            })
        })
    }
}

fn first<'t>(list: &'t [Candidate], head: &RequestHead<'_>) -> Option<&'t Arc<RouteRule>> {
    list.iter()
        .find(|candidate| candidate.predicates.hold(head))
        .map(|candidate| &candidate.rule)
}
