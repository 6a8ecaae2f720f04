//! One watch: its own connection, its own backoff, its own store. An error here never pauses another.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounting::Pulse;
use crate::error::code;
use crate::store::{Cached, Change, Decoded, Store};

/// A watch is asked to end after this long, so that a quiet one is heard of even where the API
/// server sends no bookmarks.
const LIFETIME_SECS: u32 = 110;
/// Objects a page of a list.
const PAGE: u32 = 250;
/// First and longest pause after an error.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// How often a watch that failed looks whether it was let in again.
const LOOK: Duration = Duration::from_millis(200);

/// How a watch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It has not listed everything yet.
    Starting = 0,
    /// It lists and watches.
    Live = 1,
    /// The API server does not serve the kind: its definition is not installed (yet).
    Missing = 2,
    /// The API server refuses it.
    Forbidden = 3,
    /// It fails in another way.
    Failing = 4,
}

/// What others may know of a watch.
pub struct Gauge {
    /// The kind.
    pub kind: String,
    /// The path that it asks.
    pub path: String,
    /// Whether the operator can be ready without it.
    pub optional: bool,
    state: AtomicU8,
    error: Mutex<String>,
}

impl Gauge {
    /// How it is doing.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            1 => State::Live,
            2 => State::Missing,
            3 => State::Forbidden,
            4 => State::Failing,
            _ => State::Starting,
        }
    }

    /// The last error, for people.
    pub fn error(&self) -> String {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, state: State, error: String) {
        self.state.store(state as u8, Ordering::Release);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// Is told of changes.
pub type Tell<V> = Arc<dyn Fn(&Change<V>) + Send + Sync>;

/// What a watch needs to run.
pub struct Watch<W, V: Cached> {
    /// Where it asks.
    pub api: Api<W>,
    /// A namespace, or empty for all of them.
    pub scope: String,
    /// Restricts what is watched.
    pub labels: Option<String>,
    /// Keeps what was seen.
    pub store: Arc<Store<V>>,
    /// What is kept of an object.
    pub keep: fn(W) -> Decoded<V>,
    /// Told of every change, in order.
    pub tell: Tell<V>,
}

impl<W, V> Watch<W, V>
where
    W: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    V: Cached,
{
    /// A gauge for it, named `kind`.
    pub fn gauge(&self, kind: &str, optional: bool) -> Arc<Gauge> {
        Arc::new(Gauge {
            kind: kind.to_owned(),
            path: self.api.resource_url().to_owned(),
            optional,
            state: AtomicU8::new(State::Starting as u8),
            error: Mutex::default(),
        })
    }

    /// Watches until the token is cancelled.
    pub async fn run(self, gauge: Arc<Gauge>, pulse: Pulse, stop: CancellationToken) {
        pulse.expect(&gauge.path);
        let mut config = watcher::Config::default()
            .timeout(LIFETIME_SECS)
            .page_size(PAGE);
        config.label_selector.clone_from(&self.labels);
        let mut events = watcher(self.api.clone(), config).boxed();
        let mut failures = 0_u32;
        let mut failed_at = Instant::now();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
                // A watch that was refused and then let in says nothing while nothing changes.
                () = tokio::time::sleep(LOOK), if gauge.state() != State::Live => {
                    if self.store.is_synced(&self.scope) && pulse.watches_since(&gauge.path, failed_at) {
                        failures = 0;
                        gauge.set(State::Live, String::new());
                    }
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => {
                    let is_listed = matches!(event, Event::InitDone);
                    for change in self.store.take(&self.scope, self.convert(event)) {
                        (self.tell)(&change);
                    }
                    if is_listed {
                        failures = 0;
                        gauge.set(State::Live, String::new());
                    }
                }
                Some(Err(error)) => {
                    failures = failures.saturating_add(1);
                    failed_at = Instant::now();
                    note(&gauge, &error);
                    let pause = PAUSE.0.saturating_mul(1 << failures.min(8)).min(PAUSE.1);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                // A watcher never ends; should it, liveness notices.
                None => return,
            }
        }
    }

    fn convert(&self, event: Event<W>) -> Event<Decoded<V>> {
        match event {
            Event::Apply(object) => Event::Apply((self.keep)(object)),
            Event::Delete(object) => Event::Delete((self.keep)(object)),
            Event::Init => Event::Init,
            Event::InitApply(object) => Event::InitApply((self.keep)(object)),
            Event::InitDone => Event::InitDone,
        }
    }
}

/// The API of a kind in a scope: a namespace, or all of them.
pub fn api_in<K>(client: &Client, scope: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    if scope.is_empty() {
        Api::all(client.clone())
    } else {
        Api::namespaced(client.clone(), scope)
    }
}

fn note(gauge: &Gauge, error: &watcher::Error) {
    let status = match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => code(source),
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    };
    let state = match status {
        Some(404) => State::Missing,
        Some(401 | 403) => State::Forbidden,
        // Too old a version: the watcher lists again by itself.
        Some(410) => return,
        _ => State::Failing,
    };
    if gauge.state() != state {
        tracing::warn!(kind = gauge.kind, ?state, %error, "a watch fails");
    }
    gauge.set(state, error.to_string());
}
