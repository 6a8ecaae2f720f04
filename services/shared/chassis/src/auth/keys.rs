//! The issuer's public keys: fetched lazily, kept five minutes, served stale when the issuer is
//! away.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use tokio::sync::Mutex;

use crate::http::Client;

pub type KeyMap = HashMap<String, DecodingKey>;

/// Keys older than this are fetched again.
const FRESH_FOR: Duration = Duration::from_secs(300);
/// An unknown kid leads to one fetch in this time, however many forged tokens arrive.
const REFETCH_EVERY: Duration = Duration::from_secs(60);
/// After a failed fetch the issuer is left alone for this long.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// More bytes than this are not a key set.
const MAX_BYTES: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("fetching the key set")]
    Http(#[from] reqwest::Error),
    #[error("the key set is too large")]
    TooLarge,
    #[error("the key set is not one")]
    Shape(#[from] serde_json::Error),
}

/// Where keys come from.
pub enum Keys {
    Fixed(KeyMap),
    Remote(Remote),
}

pub struct Remote {
    client: Client,
    url: String,
    current: RwLock<Option<(Instant, Arc<KeyMap>)>>,
    /// Held while fetching; remembers the last attempt.
    last_attempt: Mutex<Option<Instant>>,
}

/// What looking for a key came to.
pub enum Lookup {
    Found(DecodingKey),
    Unknown,
    /// No keys at all and none to be had now.
    Unavailable,
}

impl Keys {
    pub async fn find(&self, kid: &str) -> Lookup {
        match self {
            Self::Fixed(keys) => keys
                .get(kid)
                .cloned()
                .map_or(Lookup::Unknown, Lookup::Found),
            Self::Remote(remote) => remote.find(kid).await,
        }
    }
}

impl Remote {
    pub fn new(client: Client, url: String) -> Self {
        Self {
            client,
            url,
            current: RwLock::new(None),
            last_attempt: Mutex::new(None),
        }
    }

    async fn find(&self, kid: &str) -> Lookup {
        let mut keys = match self.cached() {
            Some((fetched, keys)) if fetched.elapsed() < FRESH_FOR => Some(keys),
            Some((_, stale)) => self.refresh(RETRY_EVERY).await.or(Some(stale)),
            None => self.refresh(RETRY_EVERY).await,
        };
        if keys.as_ref().is_some_and(|keys| !keys.contains_key(kid)) {
            keys = self.refresh(REFETCH_EVERY).await.or(keys);
        }
        match keys {
            None => Lookup::Unavailable,
            Some(keys) => keys
                .get(kid)
                .cloned()
                .map_or(Lookup::Unknown, Lookup::Found),
        }
    }

    fn cached(&self) -> Option<(Instant, Arc<KeyMap>)> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fetches unless somebody just did. One fetch at a time: the rest wait for its result.
    async fn refresh(&self, at_most_every: Duration) -> Option<Arc<KeyMap>> {
        let asked = Instant::now();
        let mut last_attempt = self.last_attempt.lock().await;
        let too_soon = last_attempt.is_some_and(|last| asked.duration_since(last) < at_most_every);
        if !too_soon {
            let result = self.fetch().await;
            *last_attempt = Some(Instant::now());
            match result {
                Ok(keys) => {
                    let fresh = Some((Instant::now(), Arc::new(keys)));
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(url = self.url, error, "keys of the issuer not fetched");
                }
            }
        }
        drop(last_attempt);
        self.cached().map(|(_, keys)| keys)
    }

    async fn fetch(&self) -> Result<KeyMap, FetchError> {
        let mut response = self
            .client
            .get(&self.url)
            .send()
            .await?
            .error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
        }
        let set: JwkSet = serde_json::from_slice(&body)?;
        Ok(usable(&set))
    }
}

/// The Ed25519 keys of a set. Others may be there for other clients.
fn usable(set: &JwkSet) -> KeyMap {
    let keys = set.keys.iter().filter_map(|jwk| {
        let kid = jwk.common.key_id.clone()?;
        match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Some((kid, DecodingKey::from_ed_components(&pair.x).ok()?))
            }
            _ => None,
        }
    });
    keys.collect()
}
