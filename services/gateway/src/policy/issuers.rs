//! The issuers that policies name, and their keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use chassis::Client;
use tokens::{BoxError, Fetch, KeyCache};

use crate::metrics::{Metrics, lock};

/// All issuers that policies name, by the URI of their keys.
#[derive(Debug, Default)]
pub struct Issuers {
    known: Mutex<HashMap<String, Arc<KeyCache>>>,
}

impl Issuers {
    /// The keys at `uri`.
    pub fn get(&self, uri: &str) -> Option<Arc<KeyCache>> {
        lock(&self.known).get(uri).cloned()
    }

    /// Those without any key, each with the reason.
    pub fn unusable(&self) -> BTreeMap<String, String> {
        let known = lock(&self.known);
        known
            .iter()
            .filter_map(|(uri, keys)| Some((uri.clone(), keys.trouble()?)))
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
            let fetch = CountedFetch {
                client: client.clone(),
                metrics: metrics.clone(),
            };
            known.insert((*uri).to_owned(), Arc::new(KeyCache::start(*uri, fetch)));
        }
    }
}

struct CountedFetch {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Fetch for CountedFetch {
    async fn get(&self, url: &str, max_bytes: usize) -> Result<Vec<u8>, BoxError> {
        Ok(self.client.read(url, max_bytes).await?)
    }

    fn completed(&self, succeeded: bool) {
        let outcome = if succeeded { "fetched" } else { "failed" };
        self.metrics
            .jwks_fetches
            .with_label_values(&[outcome])
            .inc();
    }
}
