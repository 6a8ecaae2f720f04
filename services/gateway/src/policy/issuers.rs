//! The issuers that policies name, and their keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use chassis::Client;
use gateway_routes::refresh_of;
use jiff::Timestamp;
use tokens::{BoxError, Fetch, KeyCache};

use crate::clock::now;
use crate::metrics::{Metrics, lock};

/// All issuers that policies name, by the URI of their keys.
#[derive(Debug, Default)]
pub struct Issuers {
    known: Mutex<HashMap<String, Issuer>>,
}

#[derive(Debug)]
struct Issuer {
    keys: Arc<KeyCache>,
    failing: Arc<Failing>,
}

/// Since when every fetch has failed.
#[derive(Debug, Default)]
struct Failing(Mutex<Option<Timestamp>>);

impl Issuers {
    /// The keys at `uri`.
    pub fn get(&self, uri: &str) -> Option<Arc<KeyCache>> {
        let known = lock(&self.known);
        known.get(uri).map(|issuer| issuer.keys.clone())
    }

    /// What is wrong with key sets: those without any key by their URI, those that cannot be fetched again as
    /// [`refresh_of`] it.
    pub fn troubles(&self) -> BTreeMap<String, String> {
        let known = lock(&self.known);
        known
            .iter()
            .filter_map(|(uri, issuer)| issuer.trouble(uri))
            .collect()
    }

    /// Starts to fetch the keys of new URIs and stops for those that no policy names any more. To be called
    /// on the runtime that does the fetching.
    pub fn retain(&self, uris: &BTreeSet<&str>, client: &Client, metrics: &Arc<Metrics>) {
        let mut known = lock(&self.known);
        known.retain(|uri, _| uris.contains(uri.as_str()));
        for uri in uris {
            if known.contains_key(*uri) {
                continue;
            }
            let failing = Arc::<Failing>::default();
            let fetch = CountedFetch {
                client: client.clone(),
                metrics: metrics.clone(),
                failing: failing.clone(),
            };
            let keys = Arc::new(KeyCache::start(*uri, fetch));
            known.insert((*uri).to_owned(), Issuer { keys, failing });
        }
    }
}

impl Issuer {
    fn trouble(&self, uri: &str) -> Option<(String, String)> {
        if let Some(why) = self.keys.trouble() {
            return Some((uri.to_owned(), why));
        }
        let (why, since) = (self.keys.failure()?, *lock(&self.failing.0));
        let since = since.map(|since| format!(" since {since:.0}"));
        let why = format!("has failed{}: {why}", since.unwrap_or_default());
        Some((refresh_of(uri), why))
    }
}

struct CountedFetch {
    client: Client,
    metrics: Arc<Metrics>,
    failing: Arc<Failing>,
}

impl Fetch for CountedFetch {
    async fn get(&self, url: &str, max_bytes: usize) -> Result<Vec<u8>, BoxError> {
        Ok(self.client.read(url, max_bytes).await?)
    }

    fn completed(&self, succeeded: bool) {
        let mut since = lock(&self.failing.0);
        *since = (!succeeded).then(|| since.unwrap_or_else(now));
        drop(since);
        let outcome = if succeeded { "fetched" } else { "failed" };
        self.metrics
            .jwks_fetches
            .with_label_values(&[outcome])
            .inc();
    }
}
