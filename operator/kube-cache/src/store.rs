//! The objects of one kind: filled by watches, read by whoever decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use kube::Resource;
use kube::core::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::key::Key;
use crate::scope::Scope;
use crate::sent::Sent;

/// How long after a repeated list an answer may still be about a state from before it.
const LATE: Duration = Duration::from_secs(60);

/// The controller of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind.
    pub kind: String,
    /// Its name; it lives in the same namespace.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// The controller that an object's ownerReferences name.
    pub fn of<K: Resource>(object: &K) -> Option<Self> {
        Self::of_metadata(object.meta())
    }

    /// The controller that the ownerReferences of this metadata name.
    pub fn of_metadata(meta: &ObjectMeta) -> Option<Self> {
        let references = meta.owner_references.as_deref().unwrap_or_default();
        let owner = references.iter().find(|r| r.controller == Some(true))?;
        Some(Self {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        })
    }
}

/// What a store can hold.
pub trait Cached: Send + Sync + 'static {
    /// Which object.
    fn key(&self) -> Key;
    /// Its resourceVersion.
    fn version(&self) -> Option<&str>;
    /// Its controller.
    fn owner(&self) -> Option<Owner>;
}

/// A whole object.
#[derive(Clone, Debug, PartialEq)]
pub struct Full<K>(pub Arc<K>);

impl<K: Resource> Full<K> {
    /// Keeps all of an object but its managedFields, which are most of it and which nobody reads here.
    pub fn new(mut object: K) -> Self {
        object.meta_mut().managed_fields = None;
        Self(Arc::new(object))
    }
}

impl<K: Resource + Send + Sync + 'static> Cached for Full<K> {
    fn key(&self) -> Key {
        Key::of(&*self.0)
    }

    fn version(&self) -> Option<&str> {
        self.0.meta().resource_version.as_deref()
    }

    fn owner(&self) -> Option<Owner> {
        Owner::of(&*self.0)
    }
}

/// An object, or why it cannot be decoded.
pub type Decoded<V> = Result<V, Arc<InvalidObject>>;

/// Keeps all of an object that could be decoded.
pub fn decode_whole<K: Resource + DeserializeOwned>(sent: &Sent) -> Decoded<Full<K>> {
    sent.decode().map(Full::new)
}

/// Where a change was learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A list: at the start, or after a watch was interrupted.
    List,
    /// A watch event.
    Watch,
    /// The answer to a write of this process.
    Write,
}

/// A change of one object in a store.
#[derive(Debug)]
pub enum Change<V> {
    /// The object is new, or has another version than before.
    Set {
        /// The version before, if there was one.
        old: Option<Arc<V>>,
        /// The version now.
        new: Arc<V>,
        /// Where it was learnt from.
        source: Source,
    },
    /// The object is gone.
    Gone(Arc<V>),
    /// The object cannot be decoded, or one that could not be decoded is gone.
    Undecodable(Key),
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Store<V> {
    inner: RwLock<Inner<V>>,
    keeps_last_good: bool,
}

#[derive(Debug)]
struct Inner<V> {
    /// By namespace and name, in this order: a namespace is read many times for each change in it.
    objects: BTreeMap<Key, Arc<V>>,
    undecodable: HashMap<Key, Arc<InvalidObject>>,
    by_owner: HashMap<String, BTreeSet<Key>>,
    /// Keys seen since a list began.
    listing: HashMap<Scope, HashSet<Key>>,
    synced: HashSet<Scope>,
    /// Version that this process wrote last, of objects whose watch has not brought it back yet.
    written: HashMap<Key, u64>,
    /// Version of the newest deletion that a watch has brought.
    newest_deletion: u64,
    /// When a scope was last listed again. Such a list shows deletions by what it lacks, without versions.
    listed_again: Option<Instant>,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            inner: RwLock::new(Inner {
                objects: BTreeMap::new(),
                undecodable: HashMap::new(),
                by_owner: HashMap::new(),
                listing: HashMap::new(),
                synced: HashSet::new(),
                written: HashMap::new(),
                newest_deletion: 0,
                listed_again: None,
            }),
            keeps_last_good: false,
        }
    }
}

impl<V: Cached> Store<V> {
    /// A store in which an object that no longer decodes stays as it was last decoded.
    pub fn keeping_last_good() -> Self {
        Self {
            keeps_last_good: true,
            ..Self::default()
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner<V>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<V>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of this key, if it exists and could be decoded.
    pub fn get(&self, key: &Key) -> Option<Arc<V>> {
        self.read().objects.get(key).cloned()
    }

    /// Why the object of this key cannot be decoded, if that is so.
    pub fn undecodable(&self, key: &Key) -> Option<Arc<InvalidObject>> {
        self.read().undecodable.get(key).cloned()
    }

    /// Every object.
    pub fn all(&self) -> Vec<Arc<V>> {
        self.read().objects.values().cloned().collect()
    }

    /// Every object of a namespace, ordered by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        let inner = self.read();
        let first = Key::new(namespace, "");
        let here = inner.objects.range(first..);
        here.take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Keys of the objects whose controller has this uid, in order.
    pub fn owned_by(&self, uid: &str) -> Vec<Key> {
        let inner = self.read();
        let keys = inner.by_owner.get(uid);
        keys.map(|keys| keys.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// How many objects are held.
    pub fn len(&self) -> usize {
        let inner = self.read();
        inner.objects.len() + inner.undecodable.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the watch of `scope` has listed everything once.
    pub fn is_synced(&self, scope: &Scope) -> bool {
        self.read().synced.contains(scope)
    }

    /// Whether a watch that has listed everything once covers this object: then an object that is not
    /// held does not exist.
    pub fn covers(&self, key: &Key) -> bool {
        let inner = self.read();
        inner.synced.contains(&Scope::All)
            || inner
                .synced
                .contains(&Scope::Namespace(key.namespace.clone()))
            || inner.synced.contains(&Scope::Object(key.clone()))
    }

    /// Takes an event of the watch of `scope` and returns what it changed.
    pub fn take(&self, scope: &Scope, event: Event<Decoded<V>>) -> Vec<Change<V>> {
        let mut inner = self.write();
        match event {
            Event::Init => {
                inner.listing.insert(scope.clone(), HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let key = key_of(&object);
                if let Some(seen) = inner.listing.get_mut(scope) {
                    seen.insert(key);
                }
                inner
                    .set(object, Source::List, self.keeps_last_good)
                    .into_iter()
                    .collect()
            }
            Event::Apply(object) => inner
                .set(object, Source::Watch, self.keeps_last_good)
                .into_iter()
                .collect(),
            Event::Delete(object) => inner.delete(&object).into_iter().collect(),
            Event::InitDone => {
                let seen = inner.listing.remove(scope).unwrap_or_default();
                if !inner.synced.insert(scope.clone()) {
                    inner.listed_again = Some(Instant::now());
                }
                let known = inner.objects.keys().chain(inner.undecodable.keys());
                let is_gone = |key: &&Key| scope.contains(key) && !seen.contains(key);
                let gone: BTreeSet<Key> = known.filter(is_gone).cloned().collect();
                gone.iter().filter_map(|key| inner.remove(key)).collect()
            }
        }
    }

    /// Takes the answer to a write of this process. Until the watch has brought this version (or a newer
    /// one), events with older versions are ignored, so no later decision rests on an older state.
    ///
    /// An answer may come after the watch has brought the deletion of the object. Versions of a kind grow over
    /// all its objects, so an answer to an object that is not held, older than the newest deletion, is left
    /// to the watch: it has brought the object's own deletion, or will bring the object. The same holds for
    /// [`LATE`] after a repeated list, which may have left the object out because it was deleted.
    ///
    /// Versions are compared as numbers, which they are in every API server since Kubernetes 1.35 defined
    /// them so; an answer with another kind of version is left to the watch.
    pub fn record(&self, object: V) -> Option<Change<V>> {
        let version = number(object.version())?;
        let key = object.key();
        let mut inner = self.write();
        let known = inner.objects.get(&key);
        if known
            .and_then(|known| number(known.version()))
            .is_some_and(|known| known >= version)
        {
            // The watch was faster.
            return None;
        }
        if known.is_none() && inner.may_be_deleted(version) {
            return None;
        }
        inner.written.insert(key, version);
        inner.set(Ok(object), Source::Write, false)
    }

    /// Drops every object of a scope that is no longer watched.
    pub fn forget(&self, scope: &Scope) {
        let mut inner = self.write();
        inner.synced.remove(scope);
        inner.listing.remove(scope);
        let known = inner.objects.keys().chain(inner.undecodable.keys());
        let gone: BTreeSet<Key> = known.filter(|key| scope.contains(key)).cloned().collect();
        for key in gone {
            drop(inner.remove(&key));
        }
    }
}

impl<V: Cached> Inner<V> {
    fn set(
        &mut self,
        object: Decoded<V>,
        source: Source,
        keeps_last_good: bool,
    ) -> Option<Change<V>> {
        let key = key_of(&object);
        if source != Source::Write && self.is_outdated(&key, version_of(&object)) {
            return None;
        }
        let object = match object {
            Ok(object) => object,
            Err(invalid) => {
                if !keeps_last_good {
                    self.remove(&key);
                }
                self.undecodable.insert(key.clone(), invalid);
                return Some(Change::Undecodable(key));
            }
        };
        self.undecodable.remove(&key);
        let new = Arc::new(object);
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        if old
            .as_ref()
            .is_some_and(|old| old.version() == new.version())
        {
            // A list, or the echo of a write, brought what was known.
            return None;
        }
        let (before, after) = (old.as_ref().and_then(|old| old.owner()), new.owner());
        if before != after {
            self.unlink(before.as_ref(), &key);
        }
        if let Some(owner) = after {
            self.by_owner.entry(owner.uid).or_default().insert(key);
        }
        Some(Change::Set { old, new, source })
    }

    /// Whether an object that is not held may have been deleted after it had this version.
    fn may_be_deleted(&self, version: u64) -> bool {
        let is_late = |listed: Instant| listed.elapsed() < LATE;
        version <= self.newest_deletion || self.listed_again.is_some_and(is_late)
    }

    /// Whether this process has written a newer version of the object than this event is about.
    fn is_outdated(&mut self, key: &Key, version: Option<u64>) -> bool {
        let (Some(written), Some(version)) = (self.written.get(key), version) else {
            return false;
        };
        if version < *written {
            return true;
        }
        self.written.remove(key);
        false
    }

    fn delete(&mut self, object: &Decoded<V>) -> Option<Change<V>> {
        let key = key_of(object);
        if let Some(version) = version_of(object) {
            self.newest_deletion = self.newest_deletion.max(version);
        }
        // The end of a predecessor of the same name.
        if self.is_outdated(&key, version_of(object)) {
            return None;
        }
        self.remove(&key)
    }

    fn remove(&mut self, key: &Key) -> Option<Change<V>> {
        self.written.remove(key);
        let undecodable = self.undecodable.remove(key);
        let Some(old) = self.objects.remove(key) else {
            return undecodable.map(|_| Change::Undecodable(key.clone()));
        };
        self.unlink(old.owner().as_ref(), key);
        Some(Change::Gone(old))
    }

    fn unlink(&mut self, owner: Option<&Owner>, key: &Key) {
        let Some(owner) = owner else { return };
        if let Some(keys) = self.by_owner.get_mut(&owner.uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_owner.remove(&owner.uid);
            }
        }
    }
}

impl<K: Resource + Send + Sync + 'static> Store<Full<K>> {
    /// The whole object of this key.
    pub fn object(&self, key: &Key) -> Option<Arc<K>> {
        self.get(key).map(|full| Arc::clone(&full.0))
    }

    /// Every whole object of a namespace, ordered by name.
    pub fn objects_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let found = self.in_namespace(namespace);
        found.iter().map(|full| Arc::clone(&full.0)).collect()
    }
}

fn key_of<V: Cached>(object: &Decoded<V>) -> Key {
    match object {
        Ok(object) => object.key(),
        Err(invalid) => Key::of_metadata(&invalid.metadata),
    }
}

fn version_of<V: Cached>(object: &Decoded<V>) -> Option<u64> {
    number(match object {
        Ok(object) => object.version(),
        Err(invalid) => invalid.metadata.resource_version.as_deref(),
    })
}

fn number(version: Option<&str>) -> Option<u64> {
    version?.parse().ok()
}

#[cfg(test)]
mod tests;
