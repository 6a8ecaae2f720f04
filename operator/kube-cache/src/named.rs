//! A set of watches, each of one object by name: for kinds of which only named objects may be read.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use kube::api::Api;
use serde::de::DeserializeOwned;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::key::Key;
use crate::scope::Scope;
use crate::status::{State, WatchStatus};
use crate::store::{Cached, Decoded, Store};
use crate::watch::{Callbacks, Watch};

/// Gives the API of a namespace.
type ApiOf<W> = Box<dyn Fn(&str) -> Api<W> + Send + Sync>;

/// Watches of single objects of one kind. Dropping it ends them.
pub struct NamedWatches<W, V: Cached> {
    kind: &'static str,
    api: ApiOf<W>,
    store: Arc<Store<V>>,
    decode: fn(&W) -> Decoded<V>,
    callbacks: Callbacks<V>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    watches: HashMap<Key, (Arc<WatchStatus>, AbortHandle)>,
}

impl<W, V> NamedWatches<W, V>
where
    W: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    V: Cached,
{
    /// No watches yet. `api` gives the API of a namespace.
    pub fn new(
        kind: &'static str,
        api: impl Fn(&str) -> Api<W> + Send + Sync + 'static,
        decode: fn(&W) -> Decoded<V>,
        callbacks: Callbacks<V>,
    ) -> Self {
        Self {
            kind,
            api: Box::new(api),
            store: Arc::default(),
            decode,
            callbacks,
            running: Mutex::default(),
        }
    }

    /// What the watches have found.
    pub fn store(&self) -> &Store<V> {
        &self.store
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches exactly these objects from now on: starts what is missing and ends what is no longer
    /// wanted. Must be called within a tokio runtime.
    pub fn watch_only(&self, wanted: &BTreeSet<Key>) {
        let stale: Vec<Key> = {
            let running = self.lock();
            let keys = running.watches.keys();
            keys.filter(|key| !wanted.contains(key)).cloned().collect()
        };
        for key in stale {
            self.end(&key);
        }
        for key in wanted {
            self.begin(key);
        }
    }

    /// Watches this object too.
    pub fn begin(&self, key: &Key) {
        let mut running = self.lock();
        if running.watches.contains_key(key) {
            return;
        }
        let watch = Watch {
            api: (self.api)(&key.namespace),
            scope: Scope::Object(key.clone()),
            labels: None,
            fields: Some(format!("metadata.name={}", key.name)),
            store: Arc::clone(&self.store),
            decode: self.decode,
            callbacks: self.callbacks.clone(),
            activity: None,
        };
        let status = watch.status(self.kind, true);
        let work = watch.run(Arc::clone(&status), CancellationToken::new());
        let handle = running.tasks.spawn(work);
        running.watches.insert(key.clone(), (status, handle));
        // Tasks that were ended are collected here.
        while running.tasks.try_join_next().is_some() {}
    }

    /// Watches this object no longer, and forgets it.
    pub fn end(&self, key: &Key) {
        let Some((_, handle)) = self.lock().watches.remove(key) else {
            return;
        };
        handle.abort();
        self.store.forget(&Scope::Object(key.clone()));
    }

    /// Whether the watch of this object has had its first answer, be it a refusal: an object that may
    /// not be read must not keep others waiting.
    pub fn is_settled(&self, key: &Key) -> bool {
        let running = self.lock();
        let status = running.watches.get(key).map(|(status, _)| status);
        status.is_some_and(|status| status.state() != State::Starting)
    }

    /// Whether the watch of this object runs and has listed it.
    pub fn is_live(&self, key: &Key) -> bool {
        let running = self.lock();
        let status = running.watches.get(key).map(|(status, _)| status);
        status.is_some_and(|status| status.state() == State::Live)
    }

    /// How many objects are watched.
    pub fn len(&self) -> usize {
        self.lock().watches.len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
