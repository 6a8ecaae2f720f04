//! Reads: from the caches where a watch covers what is asked for, else from the API server.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Client, Resource};
use kube_cache::Key;
use operator_plan::objects::key_of;
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, Live, ObjectKey, Objects, Planned};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::caches::{CachedKind, Caches, Child};
use crate::error::{Error, code, optional};
use crate::slim::workload_id;

/// Most events that are read of one object.
const MOST_EVENTS: u32 = 16;

/// Reads objects. Changes nothing.
pub struct Reader {
    client: Client,
    caches: Arc<Caches>,
}

impl Reader {
    /// Reads through these caches.
    pub fn new(client: Client, caches: Arc<Caches>) -> Self {
        Self { client, caches }
    }

    /// One object of a kind that is watched whole; `None` when it does not exist.
    pub async fn get<K>(&self, key: &Key) -> Result<Option<Arc<K>>, Error>
    where
        K: CachedKind + Resource<Scope = NamespaceResourceScope>,
    {
        let store = &K::cache(&self.caches).store;
        if store.covers(key) {
            return Ok(store.object(key));
        }
        Ok(self.fetch(key).await?.map(Arc::new))
    }

    /// The newest version of an object that this process knows: the given one, or the answer to its own
    /// last write.
    pub fn latest<K: CachedKind>(&self, object: &Arc<K>) -> Arc<K> {
        let number = |object: &K| {
            let version = object.meta().resource_version.as_deref();
            version.and_then(|version| version.parse::<u64>().ok())
        };
        let known = K::cache(&self.caches).store.object(&Key::of(&**object));
        known
            .filter(|known| known.meta().uid == object.meta().uid && number(known) > number(object))
            .unwrap_or_else(|| Arc::clone(object))
    }

    /// One object from the API server; `None` when it does not exist.
    pub async fn fetch<K>(&self, key: &Key) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), &key.namespace);
        let answer = optional(api.get(&key.name).await);
        answer.map_err(|source| Error::api("get", format!("{} {key}", K::kind(&())), source))
    }

    /// One Job; `None` when it does not exist.
    pub async fn job(&self, key: &Key) -> Result<Option<Arc<Job>>, Error> {
        let store = &self.caches.jobs.store;
        if store.covers(key) {
            return Ok(store.get(key).map(|job| Arc::clone(&job.object)));
        }
        Ok(self.fetch(key).await?.map(Arc::new))
    }

    /// The Jobs whose controller has this uid, with their names.
    pub fn jobs_of(&self, uid: &str) -> impl Iterator<Item = (String, Job)> {
        let store = &self.caches.jobs.store;
        let keys = store.owned_by(uid).into_iter();
        keys.filter_map(|key| {
            let job = store.get(&key)?;
            Some((key.name, Job::clone(&job.object)))
        })
    }

    /// Those of these objects that exist, as they are. The plan's bodies and modes do not matter.
    pub async fn read(&self, wanted: &Objects<Planned>) -> Result<Objects<Applied>, Error> {
        let mut found = Objects::new();
        for item in &wanted.items {
            if let Some(live) = self.read_one(&item.resource, &item.key).await? {
                let key = item.key.clone();
                found.items.push(Applied { key, live });
            }
        }
        Ok(found)
    }

    /// One object as it is, from the caches where they cover it.
    pub async fn read_one(
        &self,
        resource: &ApiResource,
        key: &ObjectKey,
    ) -> Result<Option<Live>, Error> {
        match self.caches.child(key) {
            Some(Child { live, .. }) => Ok(Some(live)),
            None if self.caches.covers(key) => Ok(None),
            None => {
                let value = self.fetch_dynamic(resource, key).await?;
                Ok(value.map(|value| Live::decode(key, &value)))
            }
        }
    }

    /// Puts the pods of these workloads that have something to report beside what else was read.
    pub fn add_pods(&self, namespace: &str, whose: &[PodsOf], seen: &mut Objects<Applied>) {
        let store = &self.caches.pods.store;
        for of in whose {
            let id = workload_id(namespace, of.kind(), of.name());
            let unwell = store.owned_by(&id).into_iter().filter_map(|key| {
                let pod = store.get(&key)?;
                Some((key.name, Arc::clone(pod.unwell.as_ref()?)))
            });
            seen.items.extend(unwell.map(|(name, pod)| Applied {
                key: key_of::<k8s_openapi::api::core::v1::Pod>(namespace, &name),
                live: Live::Pod(pod),
            }));
        }
    }

    /// Events about an object, of those that a selector of fields names. None where they may not be read.
    pub async fn events(
        &self,
        namespace: &str,
        (kind, name): (&str, &str),
        which: &str,
    ) -> Result<Vec<Event>, Error> {
        let about = format!("regarding.kind={kind},regarding.name={name},{which}");
        let params = ListParams::default().fields(&about).limit(MOST_EVENTS);
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        match api.list(&params).await {
            Ok(events) => Ok(events.items),
            Err(error) if matches!(code(&error), Some(403 | 404)) => Ok(Vec::new()),
            Err(source) => {
                let what = format!("events about {kind} {namespace}/{name}");
                Err(Error::api("list", what, source))
            }
        }
    }

    /// One object of any kind from the API server, without its managedFields.
    pub async fn fetch_dynamic(
        &self,
        resource: &ApiResource,
        key: &ObjectKey,
    ) -> Result<Option<Value>, Error> {
        let found = self.fetch_object(resource, key).await?;
        found.map(|object| to_value(key, object)).transpose()
    }

    /// The same with its managedFields.
    pub async fn fetch_object(
        &self,
        resource: &ApiResource,
        key: &ObjectKey,
    ) -> Result<Option<DynamicObject>, Error> {
        let answer = optional(dynamic(&self.client, resource, key).get(&key.name).await);
        answer.map_err(|source| Error::api("get", text(key), source))
    }
}

/// The API of a kind that is only known at run time.
pub fn dynamic(client: &Client, resource: &ApiResource, key: &ObjectKey) -> Api<DynamicObject> {
    if key.namespace.is_empty() {
        Api::all_with(client.clone(), resource)
    } else {
        Api::namespaced_with(client.clone(), &key.namespace, resource)
    }
}

/// An object as JSON, without its managedFields.
pub fn to_value(key: &ObjectKey, mut object: DynamicObject) -> Result<Value, Error> {
    object.metadata.managed_fields = None;
    serde_json::to_value(object).map_err(|source| Error::Encode {
        what: text(key),
        source,
    })
}

/// Kind and name, for messages.
pub fn text(key: &ObjectKey) -> String {
    let place = Key::new(key.namespace.clone(), key.name.clone());
    format!("{} {place}", key.kind)
}
