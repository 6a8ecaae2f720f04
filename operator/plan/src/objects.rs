//! Ordered lists of Kubernetes objects: as they should be, and as they are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{ApiResource, Resource};
use serde::Serialize;
use serde_json::Value;

pub use crate::key::{ObjectKey, key_of};
use crate::live::{Live, Readable};

/// Label with the uid of the custom resource that an object was made for.
pub const OWNER_UID_LABEL: &str = "storefront.dev/owner-uid";
/// Label with the name of the shop.
pub const STOREFRONT_LABEL: &str = "storefront.dev/storefront";
/// Label with the part of a shop that an object is of; the claims of a StatefulSet have it from their pods' selector.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// Annotation of a workload whose number of pods has been handed to an autoscaler.
pub const AUTOSCALED: &str = "storefront.dev/autoscaled";
/// Value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "storefront-operator";

/// What the operator does with a planned object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Server-side apply.
    Apply,
    /// Server-side apply of a workload whose number of pods an autoscaler decides: the plan names no
    /// number, and until the autoscaler does there shall be no fewer pods than before.
    ApplyScaled {
        /// Pods to begin with, and the fewest that there may be.
        at_least: i32,
    },
    /// Ask for more storage for a volume claim that exists, has these labels and has less. Nothing else of it is
    /// changed, and its StatefulSet is left as it is where that is refused.
    Grow,
    /// Create; that it exists already means that the observation was stale: reconcile again.
    Create,
    /// Write nothing; read it if it is there, and do not prune it.
    Keep,
}

/// One object as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Where the API server serves it.
    pub resource: ApiResource,
    /// Which object.
    pub key: ObjectKey,
    /// What to do.
    pub mode: Mode,
    /// The object with `apiVersion` and `kind`; of [`Mode::Keep`] only these and the name.
    pub body: Value,
}

/// One object as it is.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Which object.
    pub key: ObjectKey,
    /// What is known of it.
    pub live: Live,
}

impl Applied {
    /// Decodes what the API server sent.
    pub fn decode(key: ObjectKey, value: &Value) -> Self {
        let live = Live::decode(&key, value);
        Self { key, live }
    }
}

/// An ordered list of [`Planned`] or [`Applied`] objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects<T> {
    /// In the order of writing.
    pub items: Vec<T>,
}

impl<T> Objects<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FromIterator<T> for Objects<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
        }
    }
}

impl Objects<Planned> {
    /// Plans `object` with `mode`.
    pub fn push<K>(&mut self, mode: Mode, object: &K)
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.items.push(planned(mode, object));
    }

    /// Plans server-side apply of `object`.
    pub fn apply<K>(&mut self, object: &K)
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.push(Mode::Apply, object);
    }

    /// Plans to leave an object as it is, if it is there.
    pub fn keep<K>(&mut self, namespace: &str, name: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        let resource = ApiResource::erase::<K>(&());
        let body = serde_json::json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": { "namespace": namespace, "name": name },
        });
        let key = key_of::<K>(namespace, name);
        self.items.push(Planned {
            resource,
            key,
            mode: Mode::Keep,
            body,
        });
    }

    /// Whether an object is in the plan, in whatever mode.
    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.items.iter().any(|item| item.key == *key)
    }
}

impl Objects<Applied> {
    /// The live object of this kind and name; `None` when it does not exist (or does not decode).
    pub fn get<K: Readable>(&self, name: &str) -> Option<K> {
        let found = self.all::<K>().find(|(found, _)| *found == name);
        found.map(|(_, object)| K::clone(object))
    }

    /// Every live object of a kind, with its name.
    pub fn all<K: Readable>(&self) -> impl Iterator<Item = (&str, &K)> {
        self.items.iter().filter_map(typed::<K>)
    }
}

fn typed<K: Readable>(item: &Applied) -> Option<(&str, &K)> {
    Some((item.key.name.as_str(), K::of(&item.live)?))
}

/// One object as it should be.
///
/// # Panics
/// Never for the types planned here: each has string keys only, so it is JSON by construction.
pub fn planned<K>(mode: Mode, object: &K) -> Planned
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let resource = ApiResource::erase::<K>(&());
    let meta = object.meta();
    let key = key_of::<K>(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    );
    let mut body = serde_json::to_value(object).expect("Kubernetes objects are JSON");
    if let Some(map) = body.as_object_mut() {
        map.insert("apiVersion".into(), resource.api_version.clone().into());
        map.insert("kind".into(), resource.kind.clone().into());
        // Whoever applies a spec does not own the status.
        map.remove("status");
    }
    Planned {
        resource,
        key,
        mode,
        body,
    }
}

/// A controller reference to a custom resource.
pub fn owner_of<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    let meta = owner.meta();
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
