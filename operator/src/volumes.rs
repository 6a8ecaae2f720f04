//! The volume claims of shops' servers that are being deleted. Only that is read of them, by a watch of their metadata: they
//! are their StatefulSets' and not ours, so they have the labels of those and no owner.
//!
//! The operator can do its work without the watch (a chart of before it grants no `watch`): each claim is read by name then, when
//! its shop is reconciled.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube_cache::{Cached, Decoded, Key, Owner};
use operator_plan::objects::NAME_LABEL;
use operator_plan::storefront::{parts_with_volumes, set_of_claim};

use crate::slim::workload_id;

/// What is kept of a claim.
#[derive(Clone, Debug)]
pub struct VolumeClaim {
    key: Key,
    version: Option<String>,
    set: Owner,
    /// The part of a shop that it says it is of.
    part: String,
    /// Since when it is being deleted, unless it goes with its shop.
    pub leaving: Option<Time>,
}

impl VolumeClaim {
    /// Keeps this metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        let key = Key::of_metadata(meta);
        let part = meta.labels.as_ref().and_then(|all| all.get(NAME_LABEL));
        let set = set_of_claim(&key.name).unwrap_or_default().to_owned();
        let mut owners = meta.owner_references.iter().flatten();
        let goes_with_shop = owners.any(|owner| owner.kind == "Storefront");
        Self {
            set: Owner {
                kind: "StatefulSet".to_owned(),
                uid: workload_id(&key.namespace, "StatefulSet", &set),
                name: set,
            },
            part: part.cloned().unwrap_or_default(),
            leaving: meta.deletion_timestamp.clone().filter(|_| !goes_with_shop),
            version: meta.resource_version.clone(),
            key,
        }
    }

    /// Keeps the metadata of a claim.
    pub fn decode(object: &PartialObjectMeta<DynamicObject>) -> Decoded<Self> {
        Ok(Self::of(&object.metadata))
    }

    /// The shop whose server's it would be.
    pub fn shop(&self) -> Option<Key> {
        let name = self.set.name.strip_suffix(&self.part)?.strip_suffix('-')?;
        Some(Key::new(self.key.namespace.clone(), name))
    }
}

impl Cached for VolumeClaim {
    fn key(&self) -> Key {
        self.key.clone()
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The StatefulSet by name, as of pods: it does not own the claims that outlive it.
    fn owner(&self) -> Option<Owner> {
        Some(self.set.clone())
    }
}

/// Selects the claims of shops' servers.
pub fn selector() -> String {
    format!("{NAME_LABEL} in ({})", parts_with_volumes().join(","))
}
