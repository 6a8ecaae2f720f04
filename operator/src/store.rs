//! What is known of one kind: kept by a watch, read by reconciliations.
//!
//! ## Why not kube's reflector
//! It swaps its content after a relist without saying what vanished, so a deletion that happened while
//! the watch was down would go unnoticed. This one compares, and reports each object that is gone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;

use crate::key::Key;

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
        let references = object
            .meta()
            .owner_references
            .as_deref()
            .unwrap_or_default();
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
    /// Its version.
    fn version(&self) -> Option<&str>;
    /// Its controller.
    fn owner(&self) -> Option<Owner>;
}

/// All that is kept of an object that only its owner's reconciliation looks at: a couple of hundred bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slim {
    key: Key,
    version: Option<String>,
    owner: Option<Owner>,
}

impl<K> From<PartialObjectMeta<K>> for Slim {
    fn from(object: PartialObjectMeta<K>) -> Self {
        let meta = object.metadata;
        let controller = meta
            .owner_references
            .unwrap_or_default()
            .into_iter()
            .find(|reference| reference.controller == Some(true));
        Self {
            key: Key::new(
                meta.namespace.unwrap_or_default(),
                meta.name.unwrap_or_default(),
            ),
            version: meta.resource_version,
            owner: controller.map(|o| Owner {
                kind: o.kind,
                name: o.name,
                uid: o.uid,
            }),
        }
    }
}

impl Cached for Slim {
    fn key(&self) -> Key {
        self.key.clone()
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn owner(&self) -> Option<Owner> {
        self.owner.clone()
    }
}

/// A whole object.
#[derive(Clone, Debug, PartialEq)]
pub struct Full<K>(pub Arc<K>);

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

/// What a watch event changed.
#[derive(Debug)]
pub enum Change<V> {
    /// The object is new or another one than before.
    Set {
        /// As it was, if it was known.
        old: Option<Arc<V>>,
        /// As it is.
        new: Arc<V>,
        /// Whether it came with a list rather than by itself.
        listed: bool,
    },
    /// The object is gone.
    Gone(Arc<V>),
    /// The object cannot be decoded, or such a one is gone.
    Undecodable(Key),
}

/// What is known of one kind.
#[derive(Debug)]
pub struct Store<V> {
    inner: RwLock<Inner<V>>,
}

#[derive(Debug)]
struct Inner<V> {
    objects: HashMap<Key, Arc<V>>,
    undecodable: HashMap<Key, Arc<InvalidObject>>,
    by_owner: HashMap<String, BTreeSet<Key>>,
    /// Keys seen since a list began, by the scope of the watch.
    listing: HashMap<String, HashSet<Key>>,
    synced: HashSet<String>,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            inner: RwLock::new(Inner {
                objects: HashMap::new(),
                undecodable: HashMap::new(),
                by_owner: HashMap::new(),
                listing: HashMap::new(),
                synced: HashSet::new(),
            }),
        }
    }
}

impl<V: Cached> Store<V> {
    fn read(&self) -> RwLockReadGuard<'_, Inner<V>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<V>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of this key, if it is there and can be decoded.
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

    /// Every object of a namespace, in the order of names.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        let mut found: Vec<(Key, Arc<V>)> = {
            let inner = self.read();
            let here = inner
                .objects
                .iter()
                .filter(|(key, _)| key.namespace == namespace);
            here.map(|(key, object)| (key.clone(), Arc::clone(object)))
                .collect()
        };
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.into_iter().map(|(_, object)| object).collect()
    }

    /// Keys of the objects whose controller has this uid, in order.
    pub fn owned_by(&self, uid: &str) -> Vec<Key> {
        self.read()
            .by_owner
            .get(uid)
            .map(|keys| keys.iter().cloned().collect())
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
    pub fn is_synced(&self, scope: &str) -> bool {
        self.read().synced.contains(scope)
    }

    /// Takes an event of the watch of `scope` (a namespace, or empty for all) and says what changed.
    pub fn take(&self, scope: &str, event: Event<Decoded<V>>) -> Vec<Change<V>> {
        let mut inner = self.write();
        match event {
            Event::Init => {
                inner.listing.insert(scope.to_owned(), HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => inner.set(scope, object, true).into_iter().collect(),
            Event::Apply(object) => inner.set(scope, object, false).into_iter().collect(),
            Event::Delete(Ok(object)) => inner.remove(&object.key()).into_iter().collect(),
            Event::Delete(Err(invalid)) => inner
                .remove(&key_of_invalid(&invalid))
                .into_iter()
                .collect(),
            Event::InitDone => {
                let seen = inner.listing.remove(scope).unwrap_or_default();
                inner.synced.insert(scope.to_owned());
                let known = inner.objects.keys().chain(inner.undecodable.keys());
                let in_scope = |key: &&Key| scope.is_empty() || key.namespace == scope;
                let gone: Vec<Key> = known
                    .filter(in_scope)
                    .filter(|key| !seen.contains(key))
                    .cloned()
                    .collect();
                gone.iter().filter_map(|key| inner.remove(key)).collect()
            }
        }
    }
}

impl<V: Cached> Inner<V> {
    fn set(&mut self, scope: &str, object: Decoded<V>, listed: bool) -> Option<Change<V>> {
        let key = object
            .as_ref()
            .map_or_else(|invalid| key_of_invalid(invalid), Cached::key);
        if listed && let Some(seen) = self.listing.get_mut(scope) {
            seen.insert(key.clone());
        }
        let object = match object {
            Ok(object) => object,
            Err(invalid) => {
                self.remove(&key);
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
            // A relist brought what was known.
            return None;
        }
        let (before, after) = (old.as_ref().and_then(|old| old.owner()), new.owner());
        if before != after {
            self.unlink(before.as_ref(), &key);
        }
        if let Some(owner) = after {
            self.by_owner.entry(owner.uid).or_default().insert(key);
        }
        Some(Change::Set { old, new, listed })
    }

    fn remove(&mut self, key: &Key) -> Option<Change<V>> {
        if self.undecodable.remove(key).is_some() {
            return Some(Change::Undecodable(key.clone()));
        }
        let old = self.objects.remove(key)?;
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

    /// Every whole object of a namespace, in the order of names.
    pub fn objects_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.in_namespace(namespace)
            .iter()
            .map(|full| Arc::clone(&full.0))
            .collect()
    }
}

fn key_of_invalid(invalid: &InvalidObject) -> Key {
    let meta = &invalid.metadata;
    Key::new(
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests;
