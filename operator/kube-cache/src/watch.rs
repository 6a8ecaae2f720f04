//! One watch: own connection, own backoff. An error here never delays another watch.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt;
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::scope::Scope;
use crate::status::{State, WatchStatus};
use crate::store::{Cached, Change, Decoded, Store};

/// A watch is asked to end after this long, so that a quiet one shows activity even where the API
/// server sends no bookmarks.
const LIFETIME_SECS: u32 = 110;
/// Objects per page of a list.
const PAGE: u32 = 250;
/// First and longest pause after an error.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How often a watch that failed checks whether it was admitted again.
const CHECK: Duration = Duration::from_millis(200);

/// Called with a change.
pub type OnChange<V> = Arc<dyn Fn(&Change<V>) + Send + Sync>;

/// What a watch reports, and to whom.
pub struct Callbacks<V> {
    /// Called with each change, in order.
    pub on_change: OnChange<V>,
    /// Called when a list is complete, also when it changed nothing.
    pub on_synced: Arc<dyn Fn() + Send + Sync>,
    /// Called with each error; the watch goes on.
    pub on_error: Arc<dyn Fn(&watcher::Error) + Send + Sync>,
}

impl<V> Callbacks<V> {
    /// Only changes are reported.
    pub fn on_change(on_change: impl Fn(&Change<V>) + Send + Sync + 'static) -> Self {
        Self {
            on_change: Arc::new(on_change),
            on_synced: Arc::new(|| {}),
            on_error: Arc::new(|_| {}),
        }
    }
}

impl<V> Clone for Callbacks<V> {
    fn clone(&self) -> Self {
        Self {
            on_change: Arc::clone(&self.on_change),
            on_synced: Arc::clone(&self.on_synced),
            on_error: Arc::clone(&self.on_error),
        }
    }
}

/// A watch that fills a store. `W` is what the API server sends ([`Sent`](crate::Sent), or the metadata alone), `V` what
/// is kept of it.
pub struct Watch<W, V: Cached> {
    /// Where it asks.
    pub api: Api<W>,
    /// What it covers.
    pub scope: Scope,
    /// Only objects with these labels, if any.
    pub labels: Option<String>,
    /// Only objects with these fields, if any.
    pub fields: Option<String>,
    /// Where objects go.
    pub store: Arc<Store<V>>,
    /// What is kept of an object.
    pub decode: fn(&W) -> Decoded<V>,
    /// What is reported.
    pub callbacks: Callbacks<V>,
    /// Where the client's middleware notes what it receives, if it does.
    pub activity: Option<Activity>,
}

impl<W, V> Watch<W, V>
where
    W: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    V: Cached,
{
    /// The state of this watch, under the name `kind`.
    pub fn status(&self, kind: &str, optional: bool) -> Arc<WatchStatus> {
        Arc::new(WatchStatus::new(kind, self.api.resource_url(), optional))
    }

    /// Watches until the token is cancelled.
    pub async fn run(self, status: Arc<WatchStatus>, stop: CancellationToken) {
        if let Some(activity) = &self.activity {
            activity.expect(&status.path);
        }
        let mut config = watcher::Config::default()
            .timeout(LIFETIME_SECS)
            .page_size(PAGE);
        config.label_selector.clone_from(&self.labels);
        config.field_selector.clone_from(&self.fields);
        let mut events = watcher(self.api.clone(), config).boxed();
        let mut backoff = backoff();
        let mut failed_at = Instant::now();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
                // A watch that was refused and then admitted sends nothing while nothing changes.
                () = tokio::time::sleep(CHECK), if self.asks_activity(&status) => {
                    if self.is_admitted(&status, failed_at) {
                        backoff = self::backoff();
                        status.set(State::Live, String::new());
                    }
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => {
                    let is_listed = matches!(event, Event::InitDone);
                    let is_list_under_way = matches!(event, Event::Init | Event::InitApply(_));
                    for change in self.store.take(&self.scope, self.convert(event)) {
                        (self.callbacks.on_change)(&change);
                    }
                    if !is_list_under_way && status.state() != State::Live {
                        backoff = self::backoff();
                        status.set(State::Live, String::new());
                    }
                    if is_listed {
                        (self.callbacks.on_synced)();
                    }
                }
                Some(Err(error)) => {
                    failed_at = Instant::now();
                    note(&status, &error);
                    (self.callbacks.on_error)(&error);
                    let pause = backoff.next().unwrap_or(PAUSE.1);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                // A watcher does not end; if it did, liveness would notice.
                None => return,
            }
        }
    }

    fn asks_activity(&self, status: &WatchStatus) -> bool {
        self.activity.is_some() && status.state() != State::Live
    }

    fn is_admitted(&self, status: &WatchStatus, failed_at: Instant) -> bool {
        self.store.is_synced(&self.scope)
            && self
                .activity
                .as_ref()
                .is_some_and(|activity| activity.watches_since(&status.path, failed_at))
    }

    fn convert(&self, event: Event<W>) -> Event<Decoded<V>> {
        match event {
            Event::Apply(object) => Event::Apply((self.decode)(&object)),
            Event::Delete(object) => Event::Delete((self.decode)(&object)),
            Event::Init => Event::Init,
            Event::InitApply(object) => Event::InitApply((self.decode)(&object)),
            Event::InitDone => Event::InitDone,
        }
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(PAUSE.0)
        .with_max_delay(PAUSE.1)
        .without_max_times()
        .build()
}

fn note(status: &WatchStatus, error: &watcher::Error) {
    let state = match code(error) {
        Some(404) => State::Missing,
        Some(401 | 403) => State::Forbidden,
        // The version is too old: the watcher lists again by itself.
        Some(410) => return,
        _ => State::Failing,
    };
    if status.state() != state {
        tracing::warn!(kind = status.kind, path = status.path, ?state, %error, "watch failed; restarting");
    }
    status.set(state, error.to_string());
}

/// The HTTP status of a failed request, if it was answered.
fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => match source {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        },
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    }
}
