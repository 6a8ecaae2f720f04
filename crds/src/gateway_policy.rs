//! Policies that the Gateway API has no standard for; they attach by `targetRefs` and report in
//! `status.ancestors`, as the Gateway API's policy attachment asks.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Condition, duration_secs};

/// The route or gateway that a policy governs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTargetRef {
    /// API group of the target.
    #[serde(default = "gateway_group")]
    #[schemars(regex(pattern = r"^gateway\.networking\.k8s\.io$"))]
    pub group: String,
    /// Kind of the target.
    #[schemars(regex(pattern = "^(HTTPRoute|Gateway)$"))]
    pub kind: String,
    /// Name of the target, in the policy's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// A listener of the Gateway, or a named rule of the HTTPRoute. Absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

fn gateway_group() -> String {
    "gateway.networking.k8s.io".into()
}

/// Requests to the targets carry a token that this issuer signed.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "storefront.dev",
    version = "v1alpha1",
    kind = "JwtPolicy",
    plural = "jwtpolicies",
    namespaced,
    shortname = "jwtp",
    category = "shop",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "Requests to the targets carry a token that this issuer signed.",
    label("gateway.networking.k8s.io/policy", "Direct"),
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.issuer"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.ancestors[0].conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode == 'Required' || !has(self.roles) || self.roles.size() == 0")
    .message("spec.roles needs mode Required: a caller without a token has no role")
    .field_path(".roles"))]
pub struct JwtPolicySpec {
    /// What the policy governs.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTargetRef>,
    /// The `iss` claim that is trusted.
    #[schemars(length(min = 1, max = 253))]
    pub issuer: String,
    /// The `aud` claim holds at least one of these. Empty: any audience.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub audiences: Vec<String>,
    /// Where the issuer publishes its keys.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    pub jwks_uri: String,
    /// Whether a request without a token passes.
    #[serde(default)]
    pub mode: JwtMode,
    /// The `roles` claim holds at least one of these. Empty: any caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roles: Vec<String>,
    /// Claims that are passed to the backend as headers; what the client sent under these names is dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub claim_to_headers: Vec<ClaimToHeader>,
}

/// Whether a token must be there. A token that is there must be good in both modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtMode {
    /// No token, no entry.
    #[default]
    Required,
    /// A request without a token passes as nobody.
    Optional,
}

/// Copies one claim into one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimToHeader {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 128))]
    pub claim: String,
    /// Name of the header.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9-]+$"))]
    pub header: String,
}

/// Requests to the targets are limited in number.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "storefront.dev",
    version = "v1alpha1",
    kind = "RateLimitPolicy",
    plural = "ratelimitpolicies",
    namespaced,
    shortname = "rlp",
    category = "shop",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "Requests to the targets are limited in number.",
    label("gateway.networking.k8s.io/policy", "Direct"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.ancestors[0].conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitPolicySpec {
    /// What the policy governs.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTargetRef>,
    /// The limits; a request must pass each one that fits it.
    #[schemars(length(min = 1, max = 32))]
    pub limits: Vec<RateLimit>,
}

/// So many requests in so much time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Prefix of the path. Absent: every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: Option<String>,
    /// Method of the request. Absent: every method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)$"))]
    pub method: Option<String>,
    /// What is counted apart.
    #[serde(default)]
    pub per: LimitKey,
    /// How many requests pass within one window.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: i32,
    /// Length of the window in seconds (`60s`), minutes (`5m`) or hours (`1h`); at most one hour.
    #[schemars(
        length(max = 5),
        regex(pattern = "^([1-9][0-9]{0,2}s|[1-9][0-9]?m|1h)$")
    )]
    #[x_kube(validation = Rule::new("duration(self) <= duration('1h')")
        .message("window must be one hour or shorter"))]
    pub window: String,
}

impl RateLimit {
    /// The window in seconds; `None` when the text is not a window (the schema refuses such).
    pub fn window_secs(&self) -> Option<u32> {
        let secs = duration_secs(&self.window)?;
        u32::try_from(secs).ok().filter(|secs| *secs <= 3_600)
    }
}

/// What a rate limit counts apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LimitKey {
    /// Each client address.
    #[default]
    ClientIP,
}

/// What each gateway made of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// One entry for each target and controller.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub ancestors: Vec<PolicyAncestor>,
}

/// What one gateway made of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestor {
    /// The object that the policy was attached to.
    pub ancestor_ref: PolicyParentRef,
    /// The controller that says so.
    #[schemars(length(min = 1, max = 253))]
    pub controller_name: String,
    /// `Accepted`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A reference in the Gateway API's `ParentReference` shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyParentRef {
    /// API group.
    #[serde(default = "gateway_group")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; absent: the policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Listener or rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
