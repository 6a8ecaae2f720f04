//! Writes statuses: only when they changed, with an event only when readiness turned.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use crds::{Condition, DatabaseBindingStatus, ServiceDeploymentStatus, StorefrontStatus};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::core::object::HasStatus;
use kube::core::{ApiResource, NamespaceResourceScope, ObjectMeta};
use kube::{Resource, ResourceExt};
use operator_plan::conditions::{conditions, find, stalled};
use operator_plan::objects::MANAGER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::context::{Context, what};
use crate::error::{Error, Outcome, optional};
use kube_cache::Key;

/// A status with conditions.
pub trait Conditioned: Serialize {
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

/// What was written last, by kind and object: the watch may not have brought it back yet, and a
/// comparison with what it knows would write (and announce) the same thing twice.
#[derive(Default)]
pub struct Statuses {
    written: Mutex<HashMap<(String, Key), Written>>,
}

#[derive(Clone)]
struct Written {
    /// The version that the status was computed from.
    seen: Option<String>,
    hash: u64,
    turn: Option<Turn>,
}

/// What an event tells: where readiness stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Turn {
    status: String,
    reason: String,
    stalled: bool,
}

impl Turn {
    fn is_ready(&self) -> bool {
        self.status == "True"
    }
}

/// Readiness is another one than before.
struct Turned {
    was_ready: bool,
}

impl Statuses {
    fn last(&self, kind: &str, key: &Key, version: Option<&String>) -> Option<Written> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let last = written.get(&(kind.to_owned(), key.clone()))?;
        (last.seen.as_ref() == version).then(|| last.clone())
    }

    fn remember(&self, kind: &str, key: Key, written: Written) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((kind.to_owned(), key), written);
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, kind: &str, key: &Key) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(kind.to_owned(), key.clone()));
    }
}

impl Context {
    /// Writes a status if it is another one than before. An object that is gone has no status: that
    /// is no failure.
    pub async fn patch_status<K>(&self, object: &K, status: &K::Status) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + HasStatus
            + Clone
            + Debug
            + DeserializeOwned,
        K::Status: Conditioned,
    {
        self.write_status(object, status).await.map(drop)
    }

    /// The same, and tells by one event when readiness turned.
    pub async fn report_status<K>(&self, object: &K, status: &K::Status) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + HasStatus
            + Clone
            + Debug
            + DeserializeOwned,
        K::Status: Conditioned,
    {
        if let Some(turned) = self.write_status(object, status).await? {
            self.announce(object, status, &turned).await;
        }
        Ok(())
    }

    /// Returns how readiness turned, if it wrote and it did.
    async fn write_status<K>(&self, object: &K, status: &K::Status) -> Result<Option<Turned>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + HasStatus
            + Clone
            + Debug
            + DeserializeOwned,
        K::Status: Conditioned,
    {
        let (kind, key) = (K::kind(&()), Key::of(object));
        let text = what::<K>(&key.namespace, &key.name);
        let encode = |status: &K::Status| {
            serde_json::to_value(status).map_err(|source| Error::Encode {
                what: text.clone(),
                source,
            })
        };
        let new = encode(status)?;
        let version = object.meta().resource_version.as_ref();
        let before = match self.statuses.last(&kind, &key, version) {
            Some(written) => written,
            None => Written {
                seen: version.cloned(),
                hash: match object.status() {
                    Some(old) => hash(&encode(old)?),
                    None => 0,
                },
                turn: object.status().and_then(turn),
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
        let api = self.api::<K>(&key.namespace);
        match api
            .patch_status(&key.name, &params, &Patch::Apply(&patch))
            .await
        {
            Ok(_) => {}
            Err(error) if crate::error::code(&error) == Some(404) => return Ok(None),
            Err(source) => return Err(Error::api("patch the status of", text, source)),
        }
        let now = turn(status);
        let written = Written {
            seen: version.cloned(),
            hash: hash(&new),
            turn: now.clone(),
        };
        self.statuses.remember(&kind, key, written);
        let was_ready = before.turn.as_ref().is_some_and(Turn::is_ready);
        Ok((before.turn != now).then_some(Turned { was_ready }))
    }

    /// Says on an object that it cannot be decoded: only its owner can help. Others go on.
    pub async fn report_undecodable<K>(&self, invalid: &InvalidObject) -> Result<Outcome, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let (kind, meta) = (K::kind(&()), &invalid.metadata);
        self.metrics.outcome(&kind, "undecodable");
        let namespace = meta.namespace.clone().unwrap_or_default();
        let name = meta.name.clone().unwrap_or_default();
        let text = what::<K>(&namespace, &name);
        let resource = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let live = optional(api.get(&name).await)
            .map_err(|source| Error::api("get", text.clone(), source))?;
        let Some(live) = live else {
            return Ok(Outcome::AwaitChange);
        };
        let message = format!(
            "this version of the operator cannot read the object: {}",
            invalid.error
        );
        let aspects = stalled("Undecodable", &message);
        let previous = live.data["status"]["conditions"].clone();
        let previous: Vec<Condition> = serde_json::from_value(previous).unwrap_or_default();
        let new = conditions(&previous, &aspects, live.metadata.generation, self.now());
        if previous == new {
            return Ok(Outcome::AwaitChange);
        }
        let patch = json!({
            "metadata": { "uid": live.metadata.uid },
            "status": { "conditions": new, "observedGeneration": live.metadata.generation },
        });
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..Default::default()
        };
        optional(
            api.patch_status(&name, &params, &Patch::Merge(&patch))
                .await,
        )
        .map_err(|source| Error::api("patch the status of", text, source))?;
        let is_known = find(&previous, "Ready").is_some_and(|ready| ready.reason == "Undecodable");
        if !is_known {
            self.warn(
                &Reference::<K>::to(meta.clone()),
                "Undecodable",
                "Decode",
                message,
            )
            .await;
        }
        Ok(Outcome::AwaitChange)
    }

    /// What only a person can mend, and the end of being ready, is a warning.
    async fn announce<K>(&self, object: &K, status: &K::Status, turned: &Turned)
    where
        K: Resource<DynamicType = ()> + HasStatus,
        K::Status: Conditioned,
    {
        let conditions = status.conditions();
        let Some(ready) = find(conditions, "Ready") else {
            return;
        };
        let stalled = find(conditions, "Stalled").is_some_and(Condition::is_true);
        let is_asked_for = ready.reason == "Deleting";
        let fell = turned.was_ready && ready.status == "False" && !is_asked_for;
        if stalled || fell {
            self.warn(object, &ready.reason, "Reconcile", ready.message.as_str())
                .await;
        } else {
            self.tell(object, &ready.reason, "Reconcile", ready.message.as_str())
                .await;
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

fn turn<S: Conditioned>(status: &S) -> Option<Turn> {
    let ready = find(status.conditions(), "Ready")?;
    let stalled = find(status.conditions(), "Stalled").is_some_and(Condition::is_true);
    Some(Turn {
        status: ready.status.clone(),
        reason: ready.reason.clone(),
        stalled,
    })
}

/// `serde_json` keeps maps sorted, so equal values have equal texts.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
