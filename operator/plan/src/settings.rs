//! What users set for pods: once for a shop, and for a part of it. Every pod template is made with it.
//!
//! ## Which one holds
//! The part's over the shop's: maps (labels, annotations, node selector) are merged by key, resources field by field,
//! and of everything else a part that gives any replaces what the shop gives. The operator's own labels and
//! annotations always hold.

use std::collections::BTreeMap;

use crds::{LocalRef, PodSettings, Resources, StorefrontSpec, TopologySpread};
use k8s_openapi::{
    api::core::v1::{LocalObjectReference, PodSpec, PodTemplateSpec, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::resources::{self, with_overrides};

/// Labels by which the pods of one workload are told from others.
const OWN_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app.kubernetes.io/instance"];

/// Beginning of the operator's own labels and annotations.
const OURS: &str = "storefront.dev/";

/// What is set for the pods of one workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) pods: PodSettings,
    pub(crate) resources: Option<Resources>,
    pub(crate) image_pull_secrets: Vec<LocalRef>,
}

/// What a part of a shop sets, in fields of its own.
pub(crate) type Part<'a> = (Option<&'a PodSettings>, Option<&'a Resources>);

impl Settings {
    /// Those of a part of a shop.
    pub(crate) fn of_part(shop: &StorefrontSpec, (pods, resources): Part<'_>) -> Self {
        let nothing = PodSettings::default();
        Self {
            pods: over(
                pods.unwrap_or(&nothing),
                shop.pods.as_deref().unwrap_or(&nothing),
            ),
            resources: resources::over(resources, shop.resources.as_ref()),
            image_pull_secrets: shop.image_pull_secrets.clone(),
        }
    }

    /// Applies them to a template that has everything else.
    pub(crate) fn apply(&self, template: &mut PodTemplateSpec) {
        let meta = template.metadata.get_or_insert_default();
        let own = own_selector(meta.labels.as_ref());
        add(&mut meta.labels, &self.pods.labels);
        add(&mut meta.annotations, &self.pods.annotations);
        if let Some(pod) = template.spec.as_mut() {
            self.apply_to_pod(pod, own);
        }
    }

    fn apply_to_pod(&self, pod: &mut PodSpec, own: LabelSelector) {
        let settings = &self.pods;
        if !settings.node_selector.is_empty() {
            pod.node_selector = Some(settings.node_selector.clone());
        }
        if !settings.tolerations.is_empty() {
            pod.tolerations = Some(settings.tolerations.clone());
        }
        if settings.affinity.is_some() {
            pod.affinity.clone_from(&settings.affinity);
        }
        if settings.priority_class_name.is_some() {
            pod.priority_class_name
                .clone_from(&settings.priority_class_name);
        }
        if !settings.topology_spread_constraints.is_empty() {
            let wanted = settings.topology_spread_constraints.iter();
            let before = pod.topology_spread_constraints.take().unwrap_or_default();
            let model = before
                .into_iter()
                .next()
                .unwrap_or_else(|| TopologySpreadConstraint {
                    label_selector: Some(own),
                    ..TopologySpreadConstraint::default()
                });
            let spread = wanted.map(|wanted| spread(wanted, &model));
            pod.topology_spread_constraints = Some(spread.collect());
        }
        if !self.image_pull_secrets.is_empty() {
            let secrets = self.image_pull_secrets.iter();
            let secrets = secrets.map(|secret| LocalObjectReference {
                name: secret.name.clone(),
            });
            pod.image_pull_secrets = Some(secrets.collect());
        }
        for container in &mut pod.containers {
            let base = container.resources.take().unwrap_or_default();
            container.resources = Some(with_overrides(base, self.resources.as_ref()));
        }
    }
}

/// A part's settings over those of its shop.
pub(crate) fn over(part: &PodSettings, shop: &PodSettings) -> PodSettings {
    fn merged(
        part: &BTreeMap<String, String>,
        shop: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut map = shop.clone();
        map.extend(part.clone());
        map
    }
    fn chosen<T: Clone>(part: &[T], shop: &[T]) -> Vec<T> {
        if part.is_empty() { shop } else { part }.to_vec()
    }
    PodSettings {
        node_selector: merged(&part.node_selector, &shop.node_selector),
        tolerations: chosen(&part.tolerations, &shop.tolerations),
        affinity: part.affinity.as_ref().or(shop.affinity.as_ref()).cloned(),
        priority_class_name: part
            .priority_class_name
            .as_ref()
            .or(shop.priority_class_name.as_ref())
            .cloned(),
        topology_spread_constraints: chosen(
            &part.topology_spread_constraints,
            &shop.topology_spread_constraints,
        ),
        labels: merged(&part.labels, &shop.labels),
        annotations: merged(&part.annotations, &shop.annotations),
    }
}

fn own_selector(labels: Option<&BTreeMap<String, String>>) -> LabelSelector {
    let own = labels.into_iter().flatten();
    let own = own.filter(|(key, _)| OWN_LABELS.contains(&key.as_str()));
    let own = own.map(|(key, value)| (key.clone(), value.clone()));
    LabelSelector {
        match_labels: Some(own.collect()),
        ..LabelSelector::default()
    }
}

/// Adds what is not there yet. Keys of the operator are refused by the schema, and opening a server or forging a hash
/// must not depend on a schema that somebody has replaced.
fn add(ours: &mut Option<BTreeMap<String, String>>, theirs: &BTreeMap<String, String>) {
    let theirs = theirs.iter();
    for (key, value) in theirs.filter(|(key, _)| !key.starts_with(OURS)) {
        let map = ours.get_or_insert_default();
        map.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// A constraint over the pods that the one before was about.
fn spread(wanted: &TopologySpread, before: &TopologySpreadConstraint) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: wanted.max_skew,
        topology_key: wanted.topology_key.clone(),
        when_unsatisfiable: wanted.when_unsatisfiable.as_str().to_owned(),
        ..before.clone()
    }
}
