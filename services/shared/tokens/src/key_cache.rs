//! The key set of one issuer, kept up to date. The refetch rule is in the README.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::key_set::{KeySet, MalformedKeySet, VerificationKey};

const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
const UNKNOWN_KID_INTERVAL: Duration = Duration::from_secs(60);
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Short, because an issuer that has just come up must not leave good tokens refused for long.
const FIRST_RETRY_MAX: Duration = Duration::from_secs(1);
/// Longer than [`FIRST_RETRY_MAX`], so that a request that arrives once the issuer serves is answered.
const MAX_WAIT: Duration = Duration::from_secs(2);
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// How the document of an issuer is read.
pub trait Fetch: Send + Sync + 'static {
    /// The body of a successful GET of `url`; an error where it has more than `max_bytes`.
    fn get(
        &self,
        url: &str,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<u8>, BoxError>> + Send;

    /// Called after each fetch, for metrics.
    fn completed(&self, succeeded: bool) {
        let _ = succeeded;
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("failed to get the key set")]
    Get(#[source] BoxError),
    #[error(transparent)]
    Malformed(#[from] MalformedKeySet),
}

/// The result of a search for a key.
#[derive(Debug)]
pub enum Lookup {
    /// The key, and the version of the set that it is from.
    Found(Arc<VerificationKey>, u64),
    /// The issuer has no such key.
    Unknown,
    /// The issuer's keys could not be fetched yet.
    Unavailable,
}

/// The keys of one issuer. Ends its background task when it is dropped.
#[derive(Debug)]
pub struct KeyCache {
    shared: Arc<Shared>,
    /// None where the keys are fixed.
    task: Option<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    /// Somebody asked for a `kid` that is not in the set.
    wanted: Notify,
}

#[derive(Clone, Debug, Default)]
struct State {
    keys: Arc<KeySet>,
    /// Counts fetches that succeeded; 0 means that there are no keys yet.
    version: u64,
    /// Fetches that failed since the last one that succeeded.
    failures: u32,
    /// Why the last of them failed.
    error: Option<Arc<str>>,
    /// When a fetch that an unknown `kid` led to last succeeded.
    answered_unknown: Option<Instant>,
}

impl State {
    fn lookup(&self, kid: &str) -> Lookup {
        match self.keys.get(kid) {
            Some(key) => Lookup::Found(key.clone(), self.version),
            None if self.version == 0 => Lookup::Unavailable,
            None => Lookup::Unknown,
        }
    }

    /// Whether an unknown `kid` leads to a fetch now.
    fn may_refetch(&self) -> bool {
        self.failures == 0
            && self
                .answered_unknown
                .is_none_or(|at| at.elapsed() >= UNKNOWN_KID_INTERVAL)
    }
}

impl KeyCache {
    /// Fetches the key set at `url` now, and again by the refetch rule, on a task of the current runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "there is nothing to drain: the task only reads, and ends with its cache"
    )]
    pub fn start(url: impl Into<String>, fetch: impl Fetch) -> Self {
        let shared = Arc::new(Shared::new(State::default()));
        let work = keep_fresh(shared.clone(), url.into(), fetch);
        Self {
            shared,
            task: Some(tokio::spawn(work).abort_handle()),
        }
    }

    /// Keys that never change: for the issuer itself and for tests.
    pub fn fixed(keys: KeySet) -> Self {
        let state = State {
            keys: Arc::new(keys),
            version: 1,
            ..State::default()
        };
        Self {
            shared: Arc::new(Shared::new(state)),
            task: None,
        }
    }

    /// The version of the keys in use; another one after each successful fetch.
    pub fn version(&self) -> u64 {
        self.shared.state.borrow().version
    }

    /// Why no token at all can be verified, if that is so. Keys that were fetched once stay in use, so it does not
    /// matter whether the issuer answers now.
    pub fn trouble(&self) -> Option<String> {
        let state = self.shared.state.borrow();
        if state.version == 0 {
            let error = state.error.as_deref();
            return Some(error.unwrap_or("the key set is not fetched yet").to_owned());
        }
        let none = "the key set has no key that is used here: Ed25519 or P-256, with a kid";
        state.keys.is_empty().then(|| none.to_owned())
    }

    /// Why the newest fetch failed, if it did. Keys that were fetched before stay in use.
    pub fn failure(&self) -> Option<String> {
        let state = self.shared.state.borrow();
        state.error.as_deref().map(str::to_owned)
    }

    /// Searches for a key, waiting up to 2 s where a fetch may bring it.
    pub async fn find(&self, kid: &str) -> Lookup {
        let mut states = self.shared.state.subscribe();
        let seen = states.borrow_and_update().clone();
        if seen.keys.get(kid).is_some() || self.task.is_none() {
            return seen.lookup(kid);
        }
        if seen.version > 0 && !seen.may_refetch() {
            return Lookup::Unknown;
        }
        if seen.version > 0 {
            self.shared.wanted.notify_one();
        }
        let is_answered = |now: &State| {
            let first_keys = seen.version == 0 && now.version > 0;
            first_keys
                || now.keys.get(kid).is_some()
                || now.answered_unknown != seen.answered_unknown
        };
        // The sender lives as long as this cache, so the only error is that the time is over: then the
        // keys of now decide.
        let _ = tokio::time::timeout(MAX_WAIT, states.wait_for(is_answered)).await;
        self.shared.state.borrow().lookup(kid)
    }
}

impl Drop for KeyCache {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Shared {
    fn new(state: State) -> Self {
        Self {
            state: watch::Sender::new(state),
            wanted: Notify::new(),
        }
    }

    /// Waits until the next fetch is due; true when an unknown `kid` is why.
    async fn pause(&self, length: Duration) -> bool {
        let due = Instant::now() + length;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => return false,
                () = self.wanted.notified() => {}
            }
            if self.state.borrow().may_refetch() {
                return true;
            }
        }
    }

    fn succeeded(&self, keys: KeySet, is_for_unknown_kid: bool) {
        self.state.send_modify(|state| {
            state.keys = Arc::new(keys);
            state.version += 1;
            state.failures = 0;
            state.error = None;
            if is_for_unknown_kid {
                state.answered_unknown = Some(Instant::now());
            }
        });
    }

    fn failed(&self, url: &str, error: &FetchError) {
        self.state.send_modify(|state| {
            state.failures += 1;
            state.error = Some(text(error).into());
        });
        let state = self.state.borrow();
        let error: &dyn Error = error;
        if state.failures == 1 {
            let has_keys = state.version > 0;
            tracing::warn!(
                url,
                error,
                has_keys,
                "failed to fetch signing keys; retrying"
            );
        } else {
            tracing::debug!(
                url,
                error,
                state.failures,
                "failed to fetch signing keys again"
            );
        }
    }
}

async fn keep_fresh(shared: Arc<Shared>, url: String, fetch: impl Fetch) {
    let mut retries = retries(FIRST_RETRY_MAX);
    let mut is_for_unknown_kid = false;
    loop {
        let fetched = fetch_keys(&fetch, &url).await;
        fetch.completed(fetched.is_ok());
        let pause = match fetched {
            Ok(keys) => {
                shared.succeeded(keys, is_for_unknown_kid);
                retries = self::retries(RETRY_MAX);
                REFRESH_INTERVAL
            }
            Err(error) => {
                shared.failed(&url, &error);
                retries.next().unwrap_or(RETRY_MAX)
            }
        };
        is_for_unknown_kid = shared.pause(pause).await;
    }
}

/// An error with its causes.
fn text(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn retries(max: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(RETRY_MIN)
        .with_max_delay(max)
        .with_factor(2.0)
        .without_max_times()
        .build()
}

async fn fetch_keys(fetch: &impl Fetch, url: &str) -> Result<KeySet, FetchError> {
    let document = fetch
        .get(url, MAX_DOCUMENT_BYTES)
        .await
        .map_err(FetchError::Get)?;
    Ok(KeySet::parse(&document)?)
}
