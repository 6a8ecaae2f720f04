//! Which revision of each object was found to be as planned, so that it need not be compared again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use operator_plan::ObjectKey;

/// Verified revisions.
#[derive(Default)]
pub struct Memory {
    /// By hash of the key: revision of the object, digest of the plan. 24 bytes per object.
    verified: Mutex<HashMap<u64, (u64, u64)>>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (u64, u64)>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This revision is as planned.
    pub fn verify(&self, key: &ObjectKey, revision: u64, plan: u64) {
        self.lock().insert(id(key), (revision, plan));
    }

    /// Whether this revision was found to be as planned.
    pub fn is_verified(&self, key: &ObjectKey, revision: u64, plan: u64) -> bool {
        self.lock().get(&id(key)) == Some(&(revision, plan))
    }

    /// Forgets an object that is going.
    pub fn forget(&self, key: &ObjectKey) {
        self.lock().remove(&id(key));
    }
}

fn id(key: &ObjectKey) -> u64 {
    digest((&key.group, &key.kind, &key.namespace, &key.name))
}

/// A hash that tells values apart within this process.
pub fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
