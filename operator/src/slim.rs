//! What is kept of the objects that this operator makes: enough to see whether they are as planned and
//! how they are doing, a few hundred bytes each.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaim, PersistentVolumeClaimSpec, Pod, PodSpec, PodTemplateSpec,
    Service, ServiceStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Resource;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube_cache::{Cached, Decoded, Full, Key, Owner, Sent};
use operator_plan::creating::creating_since;
use operator_plan::in_use::{MakesPods, secrets};
use operator_plan::probe::running_since;
use operator_plan::trouble::{Trouble, why, workload};
use serde::de::DeserializeOwned;

/// Prefixes of annotations that controllers of the cluster write on objects of ours.
const OTHERS_ANNOTATIONS: [&str; 3] = [
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/",
    "batch.kubernetes.io/",
];

/// A number that changes when an object's spec, labels, annotations or owners change, and stays when
/// only its status does. Kinds without a generation change it with every version.
pub fn revision_of(meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    meta.uid.hash(&mut hasher);
    meta.generation.hash(&mut hasher);
    if meta.generation.is_none() {
        meta.resource_version.hash(&mut hasher);
    }
    meta.labels.hash(&mut hasher);
    let annotations = meta.annotations.iter().flatten();
    for (name, value) in annotations {
        if !OTHERS_ANNOTATIONS
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            (name, value).hash(&mut hasher);
        }
    }
    meta.finalizers.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    for owner in meta.owner_references.iter().flatten() {
        (&owner.uid, owner.controller).hash(&mut hasher);
    }
    hasher.finish()
}

/// What decides whether a change of an object concerns its owner.
pub trait Tracked: Cached {
    /// See [`revision_of`].
    fn revision(&self) -> u64;

    /// Whether nothing that an owner reads of it differs.
    fn is_same(&self, other: &Self) -> bool;
}

impl<K: Resource + Send + Sync + 'static> Tracked for Full<K> {
    fn revision(&self) -> u64 {
        revision_of(self.0.meta())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.version() == other.version()
    }
}

impl Tracked for Slim {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn is_same(&self, other: &Self) -> bool {
        self.revision == other.revision
    }
}

impl<K: Trim> Tracked for Trimmed<K> {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn is_same(&self, other: &Self) -> bool {
        self.revision == other.revision && self.object.has_status_of(&other.object)
    }
}

impl Tracked for SlimPod {
    fn revision(&self) -> u64 {
        0
    }

    fn is_same(&self, other: &Self) -> bool {
        self.trouble() == other.trouble() && self.reports() == other.reports()
    }
}

/// Metadata of an object whose content nobody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slim {
    key: Key,
    version: Option<String>,
    owner: Option<Owner>,
    /// See [`revision_of`].
    pub revision: u64,
    /// When it was made.
    pub made: Option<Timestamp>,
}

impl Slim {
    /// Keeps this metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self {
            key: Key::of_metadata(meta),
            owner: Owner::of_metadata(meta),
            revision: revision_of(meta),
            version: meta.resource_version.clone(),
            made: meta.creation_timestamp.as_ref().map(|made| made.0),
        }
    }

    /// Keeps the metadata of an object.
    pub fn decode(object: &PartialObjectMeta<DynamicObject>) -> Decoded<Self> {
        Ok(Self::of(&object.metadata))
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

/// An object of which only what statuses are computed from is left.
#[derive(Clone, Debug)]
pub struct Trimmed<K> {
    /// What is left.
    pub object: Arc<K>,
    /// See [`revision_of`]; of the object before it was trimmed.
    pub revision: u64,
    /// Secrets without which its pods do not start.
    pub secrets: Box<[String]>,
    owner: Option<Owner>,
}

impl<K: Trim> Trimmed<K> {
    /// Trims an object.
    pub fn of(mut object: K) -> Self {
        let (revision, owner) = (revision_of(object.meta()), Owner::of(&object));
        let secrets = object.secrets();
        object.trim();
        Self {
            object: Arc::new(object),
            revision,
            secrets,
            owner,
        }
    }

    /// Trims an object that could be decoded.
    pub fn decode(sent: &Sent) -> Decoded<Self> {
        sent.decode().map(Self::of)
    }
}

impl<K: Trim> Cached for Trimmed<K> {
    fn key(&self) -> Key {
        Key::of(&*self.object)
    }

    fn version(&self) -> Option<&str> {
        self.object.meta().resource_version.as_deref()
    }

    fn owner(&self) -> Option<Owner> {
        self.owner.clone()
    }
}

/// A kind that can be cut down to what is read of it.
pub trait Trim: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static {
    /// Removes what nobody reads.
    fn trim(&mut self);

    /// Secrets without which the pods that it makes do not start.
    fn secrets(&self) -> Box<[String]>;

    /// Whether its status is the same as another's.
    fn has_status_of(&self, other: &Self) -> bool;
}

/// Removes the metadata that nobody reads.
fn trim_meta(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.labels = None;
    meta.owner_references = None;
    // Only the platform's own are read.
    let annotations = meta.annotations.take().unwrap_or_default();
    let ours: BTreeMap<String, String> = annotations
        .into_iter()
        .filter(|(name, _)| name.starts_with("storefront.dev/"))
        .collect();
    meta.annotations = (!ours.is_empty()).then_some(ours);
}

/// Leaves only the names and images of the containers.
fn trim_pod(spec: &mut PodSpec) {
    let restart_policy = spec.restart_policy.take();
    let mut kept = PodSpec {
        restart_policy,
        containers: std::mem::take(&mut spec.containers),
        init_containers: spec.init_containers.take(),
        ..PodSpec::default()
    };
    let init = kept.init_containers.iter_mut().flatten();
    for container in init.chain(&mut kept.containers) {
        *container = Container {
            name: std::mem::take(&mut container.name),
            image: container.image.take(),
            ..Container::default()
        };
    }
    *spec = kept;
}

/// Leaves only the sizes and classes of the claims of a set.
fn trim_claims(claims: &mut Option<Vec<PersistentVolumeClaim>>) {
    for claim in claims.iter_mut().flatten() {
        let spec = claim.spec.take().unwrap_or_default();
        *claim = PersistentVolumeClaim {
            spec: Some(PersistentVolumeClaimSpec {
                resources: spec.resources,
                storage_class_name: spec.storage_class_name,
                ..PersistentVolumeClaimSpec::default()
            }),
            ..PersistentVolumeClaim::default()
        };
    }
}

fn trim_template(template: &mut PodTemplateSpec) {
    template.metadata = None;
    if let Some(spec) = &mut template.spec {
        trim_pod(spec);
    }
}

fn secrets_of(workload: &impl MakesPods) -> Box<[String]> {
    secrets(workload).into_iter().collect()
}

impl Trim for Deployment {
    fn trim(&mut self) {
        trim_meta(&mut self.metadata);
        if let Some(spec) = &mut self.spec {
            spec.selector = LabelSelector::default();
            trim_template(&mut spec.template);
        }
    }

    fn secrets(&self) -> Box<[String]> {
        secrets_of(self)
    }

    fn has_status_of(&self, other: &Self) -> bool {
        self.status == other.status
    }
}

impl Trim for StatefulSet {
    fn trim(&mut self) {
        trim_meta(&mut self.metadata);
        if let Some(spec) = &mut self.spec {
            spec.selector = LabelSelector::default();
            trim_claims(&mut spec.volume_claim_templates);
            trim_template(&mut spec.template);
        }
    }

    fn secrets(&self) -> Box<[String]> {
        secrets_of(self)
    }

    fn has_status_of(&self, other: &Self) -> bool {
        self.status == other.status
    }
}

impl Trim for Job {
    fn trim(&mut self) {
        trim_meta(&mut self.metadata);
        self.spec = None;
    }

    fn secrets(&self) -> Box<[String]> {
        secrets_of(self)
    }

    fn has_status_of(&self, other: &Self) -> bool {
        self.status == other.status
    }
}

impl Trim for Service {
    fn trim(&mut self) {
        trim_meta(&mut self.metadata);
        let balancer = self.status.take().and_then(|status| status.load_balancer);
        self.status = balancer.map(|balancer| ServiceStatus {
            load_balancer: Some(balancer),
            ..ServiceStatus::default()
        });
        if let Some(spec) = self.spec.as_mut() {
            spec.selector = None;
        }
    }

    fn secrets(&self) -> Box<[String]> {
        Box::default()
    }

    fn has_status_of(&self, other: &Self) -> bool {
        self.status == other.status
    }
}

/// A pod: whose it is, and all that explains why it is not ready, while there is something to explain.
#[derive(Clone, Debug)]
pub struct SlimPod {
    key: Key,
    version: Option<String>,
    workload: Option<Owner>,
    /// The pod, if it has anything to report.
    pub unwell: Option<Arc<Pod>>,
    /// Whether it has no containers yet: what it waits for is asked for later, and most wait for nothing.
    pub is_creating: bool,
}

impl SlimPod {
    /// Keeps a pod.
    pub fn of(mut pod: Pod) -> Self {
        let meta = &mut pod.metadata;
        meta.managed_fields = None;
        meta.annotations = None;
        meta.labels = None;
        let key = Key::of_metadata(meta);
        let version = meta.resource_version.clone();
        let workload = Owner::of_metadata(meta).map(|owner| workload_of(&key.namespace, &owner));
        // One that runs and is not ready is asked why.
        let is_unwell = why([&pod]).is_some() || running_since(&pod).is_some();
        let is_creating = creating_since(&pod).is_some();
        if let Some(spec) = &mut pod.spec {
            trim_pod(spec);
        }
        Self {
            key,
            version,
            workload,
            unwell: (is_unwell || is_creating).then(|| Arc::new(pod)),
            is_creating,
        }
    }

    /// Keeps a pod that could be decoded.
    pub fn decode(sent: &Sent) -> Decoded<Self> {
        sent.decode().map(Self::of)
    }

    /// Whether there is something that its owner should know of at once.
    fn reports(&self) -> bool {
        self.unwell.is_some() && !self.is_creating
    }

    /// What the pod reports.
    pub fn trouble(&self) -> Option<Trouble> {
        let pod = self.unwell.as_deref()?;
        why([pod])
    }
}

impl Cached for SlimPod {
    fn key(&self) -> Key {
        self.key.clone()
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The workload, by name: a Deployment is not the controller of its pods.
    fn owner(&self) -> Option<Owner> {
        self.workload.clone()
    }
}

/// The workload that the controller of a pod stands for: the Deployment in place of its ReplicaSet. Its
/// uid is made of its name, since the pod does not know the real one.
fn workload_of(namespace: &str, controller: &Owner) -> Owner {
    let (kind, name) = workload(&controller.kind, &controller.name);
    Owner {
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: workload_id(namespace, kind, name),
    }
}

/// What the pods of a workload are indexed by.
pub fn workload_id(namespace: &str, kind: &str, name: &str) -> String {
    format!("{namespace}/{kind}/{name}")
}

#[cfg(test)]
mod tests;
