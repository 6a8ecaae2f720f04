use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::ParentReference;

/// Asks gateways to use TLS towards Services. We do not, and say so.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "BackendTLSPolicy",
    plural = "backendtlspolicies",
    namespaced,
    status = "BackendTLSPolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct BackendTLSPolicySpec {
    /// The Services, in the policy's namespace.
    #[serde(default)]
    pub target_refs: Vec<BackendTLSTarget>,
}

/// A target of such a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTLSTarget {
    /// Group; empty means core.
    #[serde(default)]
    pub group: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// One port of the Service, by its name; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

impl BackendTLSTarget {
    /// Whether it is a Service.
    pub(crate) fn is_service(&self) -> bool {
        self.group.is_empty() && self.kind == "Service"
    }
}

/// What controllers say about such a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTLSPolicyStatus {
    /// One entry for each gateway and controller; those of other controllers are not ours to touch.
    #[serde(default)]
    pub ancestors: Vec<BackendTLSAncestor>,
}

/// What one controller says about such a policy at one gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTLSAncestor {
    /// The gateway.
    #[serde(default)]
    pub ancestor_ref: ParentReference,
    /// Who wrote this entry.
    #[serde(default)]
    pub controller_name: String,
    /// `Accepted`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
