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
    /// Held while fetching.
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    last: Option<Instant>,
    /// The last one that an unknown kid led to. Counted apart: a key that is used right after it
    /// was published must not wait because the set had just been fetched without it.
    last_for_unknown: Option<Instant>,
}

/// Why keys are fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Stale,
    UnknownKid,
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
            attempts: Mutex::default(),
        }
    }

    async fn find(&self, kid: &str) -> Lookup {
        let mut keys = match self.cached() {
            Some((fetched, keys)) if fetched.elapsed() < FRESH_FOR => Some(keys),
            Some((_, stale)) => self.refresh(Reason::Stale).await.or(Some(stale)),
            None => self.refresh(Reason::Stale).await,
        };
        if keys.as_ref().is_some_and(|keys| !keys.contains_key(kid)) {
            keys = self.refresh(Reason::UnknownKid).await.or(keys);
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
    async fn refresh(&self, reason: Reason) -> Option<Arc<KeyMap>> {
        let asked = Instant::now();
        let mut attempts = self.attempts.lock().await;
        let (last, every) = match reason {
            Reason::Stale => (attempts.last, RETRY_EVERY),
            Reason::UnknownKid => (attempts.last_for_unknown, REFETCH_EVERY),
        };
        // A fetch that ended while we waited for the lock answers us too.
        let just_done = attempts.last.is_some_and(|last| last >= asked);
        if !just_done && last.is_none_or(|last| asked.duration_since(last) >= every) {
            self.fetch_and_keep().await;
            attempts.last = Some(Instant::now());
            if reason == Reason::UnknownKid {
                attempts.last_for_unknown = attempts.last;
            }
        }
        drop(attempts);
        self.cached().map(|(_, keys)| keys)
    }

    async fn fetch_and_keep(&self) {
        match self.fetch().await {
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
