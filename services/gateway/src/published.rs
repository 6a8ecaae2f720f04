//! What workers serve: one immutable value, replaced as a whole.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use gateway_routes::Table;
use rustls::ServerConfig;

/// Routing table and TLS configuration of one generation.
#[derive(Debug, Default)]
pub struct Published {
    /// Counts from 1; 0 is before anything was published.
    pub generation: u64,
    pub table: Table,
    /// By port, for the ports with TLS.
    pub tls: HashMap<u16, Arc<ServerConfig>>,
    /// Why the certificates of a listener cannot be used, by listener.
    pub certificate_problems: BTreeMap<String, String>,
}

/// A published value behind a counter of one thread: a request clones an `Rc` of this, so that workers do
/// not contend for the counter of the `Arc`.
#[derive(Debug)]
pub struct Snapshot(Arc<Published>);

impl Snapshot {
    pub fn new(published: Arc<Published>) -> Self {
        Self(published)
    }
}

impl Deref for Snapshot {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.0
    }
}
