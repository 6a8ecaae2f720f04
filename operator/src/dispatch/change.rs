//! What a change says of the object that it is about.

use std::sync::Arc;

use kube::Resource;
use kube::core::ObjectMeta;
use kube_cache::{Cached, Change, Full, Key, Source};

use crate::queue::{Priority, Queue};
use crate::slim::Tracked;

/// Whether an owner has to react to a change of its child. What it wrote itself it knows; a write that
/// left the revision as it was is somebody else's, namely a status.
pub(super) fn concerns_owner<V: Tracked>(change: &Change<V>) -> bool {
    let Change::Set { old, new, source } = change else {
        return true;
    };
    match old {
        Some(old) if old.is_same(new) => false,
        Some(old) => *source != Source::Write || old.revision() == new.revision(),
        None => *source != Source::Write,
    }
}

/// The object before and after a change.
pub(super) fn objects<V>(change: &Change<V>) -> Vec<&Arc<V>> {
    match change {
        Change::Set { old, new, .. } => old.iter().chain([new]).collect(),
        Change::Gone(old) => vec![old],
        Change::Undecodable(_) => Vec::new(),
    }
}

/// The object as it is now, where this held before the change and holds no longer.
pub(super) fn no_longer<V>(change: &Change<V>, held: impl Fn(&V) -> bool) -> Option<&Arc<V>> {
    let Change::Set {
        old: Some(old),
        new,
        ..
    } = change
    else {
        return None;
    };
    (held(old) && !held(new)).then_some(new)
}

pub(super) fn source<V>(change: &Change<V>) -> Source {
    match change {
        Change::Set { source, .. } => *source,
        Change::Gone(_) | Change::Undecodable(_) => Source::Watch,
    }
}

pub(super) fn priority<V>(change: &Change<V>) -> Priority {
    match source(change) {
        Source::List => Priority::Low,
        Source::Watch | Source::Write => Priority::High,
    }
}

pub(super) fn key_of<V: Cached>(change: &Change<V>) -> Key {
    match change {
        Change::Set { new, .. } => new.key(),
        Change::Gone(old) => old.key(),
        Change::Undecodable(key) => key.clone(),
    }
}

/// Queues the object itself, if the change is news for it.
pub(super) fn primary<K>(queue: &Queue, change: &Change<Full<K>>) -> Option<(Key, Priority)>
where
    K: Resource + Send + Sync + 'static,
{
    let (key, urgency) = news(change)?;
    queue.add(key.clone(), urgency);
    Some((key, urgency))
}

/// What is news of an object for itself: everything but its status and its finalizers, where this
/// process wrote them.
pub(super) fn news<K>(change: &Change<Full<K>>) -> Option<(Key, Priority)>
where
    K: Resource + Send + Sync + 'static,
{
    if let Change::Set {
        old: Some(old),
        new,
        source,
    } = change
        && is_same(old.0.meta(), new.0.meta(), *source)
    {
        return None;
    }
    Some((key_of(change), priority(change)))
}

fn is_same(old: &ObjectMeta, new: &ObjectMeta, source: Source) -> bool {
    // An object without a generation can change without one, so it is never the same.
    new.generation.is_some()
        && old.generation == new.generation
        && old.uid == new.uid
        && old.deletion_timestamp == new.deletion_timestamp
        && (source == Source::Write || old.finalizers == new.finalizers)
        && old.labels == new.labels
        && old.annotations == new.annotations
        && old.owner_references == new.owner_references
}
