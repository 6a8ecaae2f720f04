//! What a shop lets the services of teams ask for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::pods::{keys, node_labels, tolerations, value_lists};

/// What the ServiceDeployments of teams may ask of the cluster in `spec.pods`. Others than the administrator of the
/// shop may write these, and what is set there can stop the shop's pods or use nodes that are kept for others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Teams {
    /// PriorityClasses that their pods may have. Pods of a higher class than the shop's end the shop's where nodes
    /// are full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub priority_class_names: Vec<String>,
    /// Tolerations that their pods may have, each exactly as it is written here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Labels and their values by which their pods may choose nodes, beside `kubernetes.io/arch`, `kubernetes.io/os`,
    /// `topology.kubernetes.io/region` and `topology.kubernetes.io/zone`, which are free.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "node_selector")]
    #[x_kube(
        validation = keys("spec.teams.nodeSelector"),
        validation = value_lists("spec.teams.nodeSelector")
    )]
    pub node_selector: BTreeMap<String, Vec<String>>,
    /// Whether their pods may have an `affinity`, which can choose nodes and keep pods of others away from them.
    #[serde(default)]
    pub affinity: bool,
}

fn node_selector(_: &mut SchemaGenerator) -> Schema {
    node_labels()
}
