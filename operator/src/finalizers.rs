//! Sets and removes this operator's finalizers.

use std::sync::Arc;

use kube::api::{Api, Patch};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use kube_cache::{Full, Key};
use serde_json::json;

use crate::caches::{CachedKind, Caches};
use crate::error::{Error, code};
use crate::patches::merge_params;

/// Writes finalizers.
pub struct Finalizers {
    client: Client,
    caches: Arc<Caches>,
}

impl Finalizers {
    /// Writes through this client.
    pub fn new(client: Client, caches: Arc<Caches>) -> Self {
        Self { client, caches }
    }

    /// Sets a finalizer. Does nothing when it is set.
    pub async fn add<K>(&self, object: &K, finalizer: &str) -> Result<(), Error>
    where
        K: CachedKind + Resource<Scope = NamespaceResourceScope>,
    {
        let mut all = object.meta().finalizers.clone().unwrap_or_default();
        if all.iter().any(|held| held == finalizer) {
            return Ok(());
        }
        all.push(finalizer.to_owned());
        self.set(object, &all).await
    }

    /// Removes a finalizer. Does nothing when it is not set, or the object is gone.
    pub async fn remove<K>(&self, object: &K, finalizer: &str) -> Result<(), Error>
    where
        K: CachedKind + Resource<Scope = NamespaceResourceScope>,
    {
        let mut all = object.meta().finalizers.clone().unwrap_or_default();
        let before = all.len();
        all.retain(|held| held != finalizer);
        if all.len() == before {
            return Ok(());
        }
        match self.set(object, &all).await {
            Err(Error::Api { source, .. }) if code(&source) == Some(404) => Ok(()),
            answer => answer,
        }
    }

    /// Replaces the list as a whole, but only in the version that was seen: others edit it too.
    async fn set<K>(&self, object: &K, all: &[String]) -> Result<(), Error>
    where
        K: CachedKind + Resource<Scope = NamespaceResourceScope>,
    {
        let key = Key::of(object);
        let patch = json!({ "metadata": {
            "finalizers": all,
            "resourceVersion": object.meta().resource_version,
            "uid": object.meta().uid,
        }});
        let api = Api::<K>::namespaced(self.client.clone(), &key.namespace);
        let answer = api
            .patch(&key.name, &merge_params(), &Patch::Merge(&patch))
            .await;
        let answer = answer.map_err(|source| {
            Error::api(
                "set the finalizers of",
                format!("{} {key}", K::kind(&())),
                source,
            )
        })?;
        K::cache(&self.caches).record(Full::new(answer));
        Ok(())
    }
}
