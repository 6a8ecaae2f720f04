//! Policies that the Gateway API has no standard for; they attach by `targetRefs` and report in
//! `status.ancestors`, as the Gateway API's policy attachment asks.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claim_headers::not_reserved;
use crate::common::form;
use crate::{Condition, duration_secs};

/// The route or gateway that a policy applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTargetRef {
    /// API group of the target.
    #[serde(default = "gateway_group")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = form("^gateway[.]networking[.]k8s[.]io$",
        "targetRefs.group: a policy applies to objects of gateway.networking.k8s.io; leave group out"))]
    pub group: String,
    /// Kind of the target.
    #[schemars(length(max = 63))]
    #[x_kube(validation = form("^(HTTPRoute|Gateway)$",
        "targetRefs.kind: a policy applies to an HTTPRoute or a Gateway"))]
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

/// Requires requests to the targets to carry a token of an issuer.
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
    /// What the policy applies to.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTargetRef>,
    /// Accepted `iss` claim.
    #[schemars(length(min = 1, max = 253))]
    pub issuer: String,
    /// Accepted audiences: the `aud` claim must have at least one of these. Empty: any audience.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub audiences: Vec<String>,
    /// URL of the issuer's key set (JWKS).
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = form("^https?://",
        "spec.jwksUri: give a URL that begins with https:// or http://, such as https://login.example.com/jwks.json"))]
    pub jwks_uri: String,
    /// Whether a request without a token is accepted.
    #[serde(default)]
    pub mode: JwtMode,
    /// Required roles: the `roles` claim must have at least one of these. Empty: any caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roles: Vec<String>,
    /// Claims that are forwarded to the backend as headers; headers of these names that the client sent are removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub claim_to_headers: Vec<ClaimToHeader>,
}

/// Whether a token is required. A token that is sent must be valid in both modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtMode {
    /// A request without a token is refused.
    #[default]
    Required,
    /// A request without a token is accepted as anonymous.
    Optional,
}

/// Copies one claim into one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimToHeader {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 128))]
    pub claim: String,
    /// Name of the header: not one that the gateway or services trust or act on, such as `Host`, `Authorization`,
    /// `Cookie`, `Idempotency-Key`, `X-Request-Id`, `X-Forwarded-*` or `X-Internal-*`.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = form("^[A-Za-z0-9-]+$",
        "claimToHeaders.header: the name of a header consists of letters, digits and '-', such as X-User-Id"),
        validation = not_reserved())]
    pub header: String,
}

/// Limits the number of requests to the targets.
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
    /// What the policy applies to.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTargetRef>,
    /// The limits. A request must be within each one that matches it.
    #[schemars(length(min = 1, max = 32))]
    pub limits: Vec<RateLimit>,
}

/// A number of requests per window of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Prefix of the path. Absent: every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = form("^/", "limits.path: a path begins with '/', such as /v1/orders"))]
    pub path: Option<String>,
    /// Method of the request. Absent: every method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7))]
    #[x_kube(validation = form("^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)$",
        "limits.method: GET, HEAD, POST, PUT, DELETE, OPTIONS or PATCH"))]
    pub method: Option<String>,
    /// Key by which requests are counted.
    #[serde(default)]
    pub per: LimitKey,
    /// Requests accepted within one window.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: i32,
    /// Length of the window in seconds (`60s`), minutes (`5m`) or hours (`1h`); at most one hour.
    #[schemars(length(max = 5))]
    #[x_kube(
        validation = Rule::new("self.matches('^[1-9][0-9]{0,2}[smh]$')")
            .message("window: give seconds, minutes or hours as a whole number with a unit, such as 60s, 5m or 1h"),
        validation = Rule::new("!self.matches('^[1-9][0-9]{0,2}[smh]$') || duration(self) <= duration('1h')")
            .message("window must be one hour or shorter")
    )]
    pub window: String,
}

impl RateLimit {
    /// The window in seconds; `None` when the text is not a window (the schema refuses such).
    pub fn window_secs(&self) -> Option<u32> {
        let secs = duration_secs(&self.window)?;
        u32::try_from(secs).ok().filter(|secs| *secs <= 3_600)
    }
}

/// Key by which a rate limit counts requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LimitKey {
    /// Each client address.
    #[default]
    ClientIP,
}

/// Observed state of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// One entry for each target and controller.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub ancestors: Vec<PolicyAncestor>,
}

/// State of a policy at one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestor {
    /// The object that the policy was attached to.
    pub ancestor_ref: PolicyParentRef,
    /// The controller that reports it.
    #[schemars(length(min = 1, max = 253))]
    pub controller_name: String,
    /// `Accepted`, with the reason; `KeysStale` only while it is true: the gateway cannot fetch the key set again, and
    /// goes on with the keys that it has.
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
