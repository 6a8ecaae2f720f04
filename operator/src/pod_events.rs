//! What was read of the events of pods that have no containers yet, so that they are not read again too soon.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube_cache::Key;

use crate::caches::Caches;

/// What was read of a pod.
#[derive(Clone)]
pub struct Read {
    /// Since when it had been waiting: a pod of a StatefulSet has the name of the one before.
    pub since: Timestamp,
    /// For how long it had been waiting then.
    pub waited: SignedDuration,
    /// Why it waits, where an event said so: reason and message.
    pub said: Option<(&'static str, String)>,
}

/// What was read of pods that still wait.
#[derive(Default)]
pub struct PodEvents(Mutex<HashMap<Key, Read>>);

impl PodEvents {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read of a pod that has waited since then.
    pub fn of(&self, pod: &Key, since: Timestamp) -> Option<Read> {
        let known = self.lock();
        known.get(pod).filter(|read| read.since == since).cloned()
    }

    /// Keeps what was read, and of other pods only what concerns one that still waits.
    pub fn keep(&self, caches: &Caches, pod: Key, read: Read) {
        let store = &caches.pods.store;
        let mut known = self.lock();
        known.retain(|key, _| store.get(key).is_some_and(|pod| pod.is_creating));
        known.insert(pod, read);
    }
}
