//! Keys of issuers: fetched in the background, kept while the issuer is away.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, lock};

/// Keys are fetched again after this time even when nobody asks.
const REFRESH: Duration = Duration::from_secs(300);
/// A kid that is not known asks for the keys again, but not more often than this.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// Pauses after failures, doubling, while the last keys stand in.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// The longest pause while there are no keys at all: a shop whose issuer has just come up must not
/// refuse good tokens until a long pause is over.
const FIRST: Duration = Duration::from_secs(1);
/// How long a request waits for keys that are on their way. Longer than [`FIRST`], so that whoever
/// asks once the issuer serves gets an answer.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 64;

/// A key and the one algorithm it is for.
pub type VerifyingKey = (Algorithm, Arc<DecodingKey>);

/// The keys of one issuer at one time.
#[derive(Debug, Default)]
pub struct KeySet {
    /// Counts fetches that succeeded; 0 means never.
    pub version: u64,
    keys: HashMap<String, VerifyingKey>,
}

/// One issuer.
#[derive(Debug)]
pub struct Issuer {
    keys: watch::Sender<Arc<KeySet>>,
    wanted: Notify,
    fetched: Mutex<Option<Instant>>,
    gone: CancellationToken,
}

/// What a search for a key came to.
pub enum Lookup {
    /// The key, and the version of the set it is from.
    Found(VerifyingKey, u64),
    /// The issuer has no such key.
    Unknown,
    /// The issuer's keys were never to be had.
    Unavailable,
}

impl Issuer {
    /// Searches for a key, waiting a little where a fetch may bring it.
    pub async fn find(&self, kid: &str) -> Lookup {
        let mut keys = self.keys.subscribe();
        let seen = keys.borrow_and_update().clone();
        if let Some(key) = seen.keys.get(kid) {
            return Lookup::Found(key.clone(), seen.version);
        }
        let is_stale = lock(&self.fetched).is_none_or(|at| at.elapsed() >= ASK_AGAIN);
        if seen.version > 0 && !is_stale {
            return Lookup::Unknown;
        }
        self.wanted.notify_one();
        // Sender and receiver live as long as this issuer: only time can run out.
        let _ = tokio::time::timeout(PATIENCE, keys.changed()).await;
        let now = keys.borrow().clone();
        match now.keys.get(kid) {
            Some(key) => Lookup::Found(key.clone(), now.version),
            None if now.version == 0 => Lookup::Unavailable,
            None => Lookup::Unknown,
        }
    }

    /// The version of the keys in force.
    pub fn version(&self) -> u64 {
        self.keys.borrow().version
    }
}

/// All issuers that policies name.
#[derive(Debug, Default)]
pub struct Issuers {
    known: Mutex<HashMap<String, Arc<Issuer>>>,
}

impl Issuers {
    /// The issuer whose keys are at `uri`.
    pub fn get(&self, uri: &str) -> Option<Arc<Issuer>> {
        lock(&self.known).get(uri).cloned()
    }

    /// Begins to fetch for new URIs and ends for those that are gone. To be called on the runtime that
    /// shall do the fetching.
    pub fn retain(&self, uris: &BTreeSet<&str>, client: &chassis::Client, metrics: &Arc<Metrics>) {
        let mut known = lock(&self.known);
        known.retain(|uri, issuer| {
            let stays = uris.contains(uri.as_str());
            if !stays {
                issuer.gone.cancel();
            }
            stays
        });
        for uri in uris {
            if known.contains_key(*uri) {
                continue;
            }
            let issuer = Arc::new(Issuer {
                keys: watch::Sender::new(Arc::default()),
                wanted: Notify::new(),
                fetched: Mutex::default(),
                gone: CancellationToken::new(),
            });
            known.insert((*uri).to_owned(), issuer.clone());
            let work = keep_fresh(
                (*uri).to_owned(),
                issuer.clone(),
                client.clone(),
                metrics.clone(),
            );
            let gone = issuer.gone.clone();
            crate::spawn(async move {
                tokio::select! {
                    () = gone.cancelled() => {}
                    () = work => {}
                }
            });
        }
    }
}

async fn keep_fresh(
    uri: String,
    issuer: Arc<Issuer>,
    client: chassis::Client,
    metrics: Arc<Metrics>,
) {
    let mut pause = BACKOFF.0;
    loop {
        let fetched = fetch(&client, &uri).await;
        *lock(&issuer.fetched) = Some(Instant::now());
        let rest = match fetched {
            Ok(keys) => {
                metrics.jwks_fetches.with_label_values(&["fetched"]).inc();
                let version = issuer.version() + 1;
                issuer.keys.send_replace(Arc::new(KeySet { version, keys }));
                pause = BACKOFF.0;
                REFRESH
            }
            Err(why) => {
                metrics.jwks_fetches.with_label_values(&["failed"]).inc();
                tracing::warn!(
                    uri,
                    error = why,
                    "keys could not be fetched, the last ones stay"
                );
                let longest = if issuer.version() == 0 {
                    FIRST
                } else {
                    BACKOFF.1
                };
                let rest = pause.min(longest);
                pause = (pause * 2).min(longest);
                rest
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = asked(&issuer, rest) => {}
        }
    }
}

/// Somebody asked for keys, and the last fetch is long enough ago. Failures have their own pause.
async fn asked(issuer: &Issuer, rest: Duration) {
    issuer.wanted.notified().await;
    let since = lock(&issuer.fetched).map_or(ASK_AGAIN, |at| at.elapsed());
    if rest == REFRESH {
        tokio::time::sleep(ASK_AGAIN.saturating_sub(since)).await;
    } else {
        std::future::pending::<()>().await;
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

async fn fetch(
    client: &chassis::Client,
    uri: &str,
) -> Result<HashMap<String, VerifyingKey>, String> {
    let mut response = client
        .get(uri)
        .send()
        .await
        .map_err(|error| chain(&error))?;
    if !response.status().is_success() {
        return Err(format!("the issuer answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err("the key document is too large".to_owned());
        }
    }
    let document: Document = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(document
        .keys
        .into_iter()
        .take(MAX_KEYS)
        .filter_map(usable)
        .collect())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Keys of other kinds than ours are skipped; what the key is for is decided by its type, never by a
/// token.
fn usable(value: serde_json::Value) -> Option<(String, VerifyingKey)> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        _ => return None,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, (algorithm, Arc::new(key))))
}
