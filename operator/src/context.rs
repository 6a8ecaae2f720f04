//! What every reconciliation gets: a client, what is known, and the few ways to change something.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use operator_plan::Platform;
use operator_plan::objects::MANAGER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::apply::Memory;
use crate::database_binding::server::Servers;
use crate::error::{Error, optional};
use crate::metrics::Metrics;
use crate::status::Statuses;
use crate::stores::Stores;
use kube_cache::Key;

/// Decoded content of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// What every reconciliation gets.
pub struct Context {
    /// Talks to the API server. Every request is counted.
    pub client: Client,
    /// The platform that the operator belongs to.
    pub platform: Platform,
    /// The room's series.
    pub metrics: Metrics,
    /// What the watches know.
    pub stores: Stores,
    /// Opens sessions on database servers.
    pub servers: Arc<dyn Servers>,
    /// Whether GatewayClasses can be seen: not by an operator that may only look at namespaces.
    pub sees_classes: bool,
    /// What was applied and found to be as planned.
    pub(crate) memory: Memory,
    /// What was written into statuses.
    pub(crate) statuses: Statuses,
    recorder: Recorder,
}

/// What a context is made of.
pub struct Parts {
    /// The platform that the operator belongs to.
    pub platform: Platform,
    /// Opens sessions on database servers.
    pub servers: Arc<dyn Servers>,
    /// Names this process in events.
    pub instance: String,
    /// See [`Context::sees_classes`].
    pub sees_classes: bool,
}

impl Context {
    /// Puts the parts together.
    pub fn new(client: Client, metrics: Metrics, parts: Parts) -> Arc<Self> {
        let Parts {
            platform,
            servers,
            instance,
            sees_classes,
        } = parts;
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(instance),
        };
        Arc::new(Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            platform,
            metrics,
            stores: Stores::default(),
            servers,
            sees_classes,
            memory: Memory::default(),
            statuses: Statuses::default(),
        })
    }

    /// The instant that statuses and decisions are made at.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The API of a namespaced kind.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Reads one object from the API server; `None` when it is not there.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let answer = self.api::<K>(namespace).get(name).await;
        optional(answer).map_err(|source| Error::api("get", what::<K>(namespace, name), source))
    }

    /// Reads the content of one Secret; `None` when it is not there. Secrets are read by name, never
    /// listed or watched: the operator sees only those that it needs.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Data>, Error> {
        let secret = self.get::<Secret>(namespace, name).await?;
        Ok(secret.map(|secret| data_of(&secret)))
    }

    /// Creates an object. `None` when one of this name exists already.
    pub async fn create<K>(&self, object: &K) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let key = Key::of(object);
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..Default::default()
        };
        match self.api::<K>(&key.namespace).create(&params, object).await {
            Ok(created) => Ok(Some(created)),
            Err(error) if crate::error::code(&error) == Some(409) => Ok(None),
            Err(source) => Err(Error::api(
                "create",
                what::<K>(&key.namespace, &key.name),
                source,
            )),
        }
    }

    /// Deletes an object in the background; it may be gone already. Returns whether it was there.
    pub async fn delete<K>(&self, namespace: &str, name: &str) -> Result<bool, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let answer = self
            .api::<K>(namespace)
            .delete(name, &DeleteParams::background())
            .await;
        let found = optional(answer)
            .map_err(|source| Error::api("delete", what::<K>(namespace, name), source))?;
        Ok(found.is_some())
    }

    /// Puts our finalizer on an object. Does nothing when it is there.
    pub async fn add_finalizer<K>(&self, object: &K, finalizer: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let mut all = object.meta().finalizers.clone().unwrap_or_default();
        if all.iter().any(|held| held == finalizer) {
            return Ok(());
        }
        all.push(finalizer.to_owned());
        self.set_finalizers(object, &all).await
    }

    /// Takes our finalizer off an object. Does nothing when it is not there, or the object is gone.
    pub async fn remove_finalizer<K>(&self, object: &K, finalizer: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let mut all = object.meta().finalizers.clone().unwrap_or_default();
        let before = all.len();
        all.retain(|held| held != finalizer);
        if all.len() == before {
            return Ok(());
        }
        match self.set_finalizers(object, &all).await {
            Err(Error::Api { source, .. }) if crate::error::code(&source) == Some(404) => Ok(()),
            answer => answer,
        }
    }

    /// Replaces the list as a whole, but only of the version that was seen: others edit it too.
    async fn set_finalizers<K>(&self, object: &K, all: &[String]) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let key = Key::of(object);
        let patch = json!({ "metadata": {
            "finalizers": all,
            "resourceVersion": object.meta().resource_version,
            "uid": object.meta().uid,
        }});
        let api = self.api::<K>(&key.namespace);
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..Default::default()
        };
        api.patch_metadata(&key.name, &params, &Patch::Merge(&patch))
            .await
            .map_err(|source| {
                Error::api(
                    "set finalizers of",
                    what::<K>(&key.namespace, &key.name),
                    source,
                )
            })?;
        Ok(())
    }

    /// Tells people that something went well.
    pub async fn tell<K>(&self, about: &K, reason: &str, action: &str, note: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.event(about, EventType::Normal, (reason, action), note.into())
            .await;
    }

    /// Tells people that somebody should look.
    pub async fn warn<K>(&self, about: &K, reason: &str, action: &str, note: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.event(about, EventType::Warning, (reason, action), note.into())
            .await;
    }

    /// A lost event is a log line: it must never fail a reconciliation.
    async fn event<K>(&self, about: &K, kind: EventType, words: (&str, &str), note: String)
    where
        K: Resource<DynamicType = ()>,
    {
        let (reason, action) = words;
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            // The API server refuses longer notes.
            note: Some(note.chars().take(1000).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &about.object_ref(&())).await {
            tracing::warn!(%error, reason, "an event could not be written");
        }
    }
}

/// Kind and name, for messages.
pub fn what<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> String {
    format!("{} {}", K::kind(&()), Key::new(namespace, name))
}

/// Content of a Secret.
pub fn data_of(secret: &Secret) -> Data {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), value.0.clone()))
        .collect()
}
