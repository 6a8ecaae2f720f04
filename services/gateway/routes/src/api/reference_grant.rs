use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Lets objects of other namespaces point into this one.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1beta1",
    kind = "ReferenceGrant",
    plural = "referencegrants",
    namespaced,
    derive = "Default",
    derive = "PartialEq",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantSpec {
    /// Who may point here.
    #[serde(default)]
    pub from: Vec<ReferenceGrantFrom>,
    /// At what they may point.
    #[serde(default)]
    pub to: Vec<ReferenceGrantTo>,
}

/// Who may point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantFrom {
    /// Group of the pointing object.
    #[serde(default)]
    pub group: String,
    /// Kind of the pointing object.
    #[serde(default)]
    pub kind: String,
    /// Namespace of the pointing object.
    #[serde(default)]
    pub namespace: String,
}

/// What may be pointed at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantTo {
    /// Group of the target; empty means core.
    #[serde(default)]
    pub group: String,
    /// Kind of the target.
    #[serde(default)]
    pub kind: String,
    /// One target by name; absent means all of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
