//! Writes statuses: only when they changed, with an event only for what somebody would look for afterwards.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::{Condition, DatabaseBindingStatus, ServiceDeploymentStatus, StorefrontStatus};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::core::object::HasStatus;
use kube::core::{ApiResource, NamespaceResourceScope, ObjectMeta};
use kube::runtime::events::EventType;
use kube::{Client, Resource, ResourceExt};
use kube_cache::{Full, Key};
use operator_plan::conditions::{conditions, find, stalled};
use operator_plan::objects::MANAGER;
use serde::Serialize;
use serde_json::{Value, json};

use crate::caches::{CachedKind, Caches};
use crate::error::{Error, code, optional};
use crate::events::Events;
use crate::patches::merge_params;

/// A status with conditions.
pub trait Conditioned: Serialize + Send + Sync {
    /// The conditions.
    fn conditions(&self) -> &[Condition];
}

impl Conditioned for StorefrontStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Conditioned for ServiceDeploymentStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Conditioned for DatabaseBindingStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// An object whose status this operator writes.
pub trait Reported:
    CachedKind + Resource<Scope = NamespaceResourceScope> + HasStatus<Status: Conditioned>
{
}

impl<K> Reported for K where
    K: CachedKind + Resource<Scope = NamespaceResourceScope> + HasStatus<Status: Conditioned>
{
}

/// Writes statuses.
pub struct Statuses {
    client: Client,
    caches: Arc<Caches>,
    events: Arc<Events>,
    /// What was written last. A reconciliation may run on the copy of an object from before that write;
    /// a comparison with its status would write (and announce) the same thing twice.
    written: Mutex<HashMap<(String, Key), Written>>,
}

#[derive(Clone)]
struct Written {
    /// The version that the status was computed from.
    seen: Option<String>,
    hash: u64,
    readiness: Option<Readiness>,
}

/// What an event announces.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Readiness {
    status: String,
    reason: String,
    stalled: bool,
}

impl Readiness {
    fn of<S: Conditioned>(status: &S) -> Option<Self> {
        let ready = find(status.conditions(), "Ready")?;
        let stalled = find(status.conditions(), "Stalled").is_some_and(Condition::is_true);
        Some(Self {
            status: ready.status.clone(),
            reason: ready.reason.clone(),
            stalled,
        })
    }

    fn is_ready(&self) -> bool {
        self.status == "True"
    }
}

/// The type of the event that a change of readiness deserves. What is in progress has none: conditions show
/// it, and a shop that comes up passes through some fifteen such states.
fn event_for(before: Option<&Readiness>, now: &Readiness, is_ending: bool) -> Option<EventType> {
    if before == Some(now) {
        return None;
    }
    let was_ready = before.is_some_and(Readiness::is_ready);
    // A deletion ends being ready because somebody asked for it.
    if now.is_ready() || (is_ending && !now.stalled) {
        return Some(EventType::Normal);
    }
    let fell = was_ready && now.status == "False";
    (now.stalled || fell).then_some(EventType::Warning)
}

impl Statuses {
    /// Nothing was written yet.
    pub fn new(client: Client, caches: Arc<Caches>, events: Arc<Events>) -> Self {
        Self {
            client,
            caches,
            events,
            written: Mutex::default(),
        }
    }

    fn written(&self) -> MutexGuard<'_, HashMap<(String, Key), Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self, kind: &str, key: &Key, version: Option<&String>) -> Option<Written> {
        let written = self.written();
        let last = written.get(&(kind.to_owned(), key.clone()))?;
        (last.seen.as_ref() == version).then(|| last.clone())
    }

    /// Forgets an object that is gone.
    pub fn forget<K: Resource<DynamicType = ()>>(&self, key: &Key) {
        let kind = K::kind(&()).into_owned();
        self.written().remove(&(kind, key.clone()));
    }

    /// Writes a status if it changed, without an event. An object that is gone has no status: that is no
    /// failure.
    pub async fn write<K: Reported>(&self, object: &K, status: &K::Status) -> Result<(), Error> {
        self.patch(object, status).await.map(drop)
    }

    /// Writes a status if it changed, and publishes an event if its readiness deserves one.
    pub async fn report<K: Reported>(&self, object: &K, status: &K::Status) -> Result<(), Error> {
        if let Some(kind) = self.patch(object, status).await? {
            self.announce(object, status, kind).await;
        }
        Ok(())
    }

    /// Returns the type of the event to publish, if the status was written and deserves one.
    async fn patch<K: Reported>(
        &self,
        object: &K,
        status: &K::Status,
    ) -> Result<Option<EventType>, Error> {
        let (kind, key) = (K::kind(&()), Key::of(object));
        let text = format!("{kind} {key}");
        let encode = |status: &K::Status| {
            serde_json::to_value(status).map_err(|source| Error::Encode {
                what: text.clone(),
                source,
            })
        };
        let new = encode(status)?;
        let version = object.meta().resource_version.as_ref();
        let before = match self.last(&kind, &key, version) {
            Some(written) => written,
            None => Written {
                seen: version.cloned(),
                hash: match object.status() {
                    Some(old) => hash(&encode(old)?),
                    None => 0,
                },
                readiness: object.status().and_then(Readiness::of),
            },
        };
        if before.hash == hash(&new) {
            return Ok(None);
        }
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": kind,
            // The uid keeps a status away from a new object of the same name.
            "metadata": { "name": key.name, "namespace": key.namespace, "uid": object.uid() },
            "status": new,
        });
        let params = PatchParams::apply(MANAGER).force();
        let api = Api::<K>::namespaced(self.client.clone(), &key.namespace);
        let answer = api
            .patch_status(&key.name, &params, &Patch::Apply(&patch))
            .await;
        match answer {
            Ok(answer) => K::cache(&self.caches).record(Full::new(answer)),
            Err(error) if code(&error) == Some(404) => return Ok(None),
            Err(source) => return Err(Error::api("patch the status of", text, source)),
        }
        let now = Readiness::of(status);
        let written = Written {
            seen: version.cloned(),
            hash: hash(&new),
            readiness: now.clone(),
        };
        self.written().insert((kind.into_owned(), key), written);
        let is_ending = object.meta().deletion_timestamp.is_some();
        Ok(now.and_then(|now| event_for(before.readiness.as_ref(), &now, is_ending)))
    }

    /// Says on an object that it cannot be decoded: only its owner can mend it.
    pub async fn report_undecodable<K>(
        &self,
        invalid: &InvalidObject,
        now: Timestamp,
    ) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let key = Key::of_metadata(&invalid.metadata);
        let text = format!("{} {key}", K::kind(&()));
        let resource = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource);
        let live = optional(api.get(&key.name).await)
            .map_err(|source| Error::api("get", text.clone(), source))?;
        let Some(live) = live else {
            return Ok(());
        };
        let message = format!(
            "this version of the operator cannot read the object: {}",
            invalid.error
        );
        let aspects = stalled("Undecodable", &message);
        let previous = live.data["status"]["conditions"].clone();
        let previous: Vec<Condition> = serde_json::from_value(previous).unwrap_or_default();
        let new = conditions(&previous, &aspects, live.metadata.generation, now);
        if previous == new {
            return Ok(());
        }
        let patch = json!({
            "metadata": { "uid": live.metadata.uid },
            "status": { "conditions": new, "observedGeneration": live.metadata.generation },
        });
        let answer = api
            .patch_status(&key.name, &merge_params(), &Patch::Merge(&patch))
            .await;
        optional(answer).map_err(|source| Error::api("patch the status of", text, source))?;
        let is_known = find(&previous, "Ready").is_some_and(|ready| ready.reason == "Undecodable");
        if !is_known {
            let about = Reference::<K>::to(invalid.metadata.clone());
            self.events
                .warning(&about, "Undecodable", "Decode", message)
                .await;
        }
        Ok(())
    }

    async fn announce<K: Reported>(&self, object: &K, status: &K::Status, kind: EventType) {
        let Some(ready) = find(status.conditions(), "Ready") else {
            return;
        };
        let (reason, note) = (ready.reason.as_str(), ready.message.as_str());
        match kind {
            EventType::Normal => self.events.normal(object, reason, "Reconcile", note).await,
            EventType::Warning => self.events.warning(object, reason, "Reconcile", note).await,
        }
    }
}

/// Stands for an object of which only the metadata is known.
#[derive(Clone, Debug)]
struct Reference<K> {
    metadata: ObjectMeta,
    kind: PhantomData<K>,
}

impl<K> Reference<K> {
    fn to(metadata: ObjectMeta) -> Self {
        Self {
            metadata,
            kind: PhantomData,
        }
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Reference<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// `serde_json` keeps maps sorted, so equal values have equal texts.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readiness(status: &str, reason: &str, stalled: bool) -> Readiness {
        Readiness {
            status: status.to_owned(),
            reason: reason.to_owned(),
            stalled,
        }
    }

    #[test]
    fn an_event_tells_that_an_object_became_ready_fell_stalled_or_is_being_deleted() {
        let progress = readiness("False", "RollingOut", false);
        let ready = readiness("True", "Ready", false);
        let stalled = readiness("False", "ServerDenied", true);
        let deleting = readiness("False", "Deleting", false);
        let is = |before: Option<&Readiness>, now: &Readiness, expected: Option<EventType>| {
            let is_ending = ["Deleting", "BackingUp", "BackupFailed"].contains(&&*now.reason);
            let found = event_for(before, now, is_ending);
            assert!(
                matches!(
                    (&found, &expected),
                    (None, None)
                        | (Some(EventType::Normal), Some(EventType::Normal))
                        | (Some(EventType::Warning), Some(EventType::Warning))
                ),
                "{now:?}: {found:?}, expected {expected:?}"
            );
        };
        is(None, &progress, None);
        is(Some(&readiness("False", "Waiting", false)), &progress, None);
        is(Some(&progress), &ready, Some(EventType::Normal));
        is(Some(&ready), &ready.clone(), None);
        is(Some(&ready), &progress, Some(EventType::Warning));
        is(Some(&progress), &stalled, Some(EventType::Warning));
        is(Some(&ready), &deleting, Some(EventType::Normal));
        let backing_up = readiness("False", "BackingUp", false);
        is(Some(&ready), &backing_up, Some(EventType::Normal));
        let failed = readiness("False", "BackupFailed", true);
        is(Some(&backing_up), &failed, Some(EventType::Warning));
    }
}
