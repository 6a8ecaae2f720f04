//! Telemetry of a shop beyond metrics and logs.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Telemetry of a shop beyond metrics and logs, which are always on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observability {
    /// Traces. Absent: none are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

/// Traces: the gateway and every service export their spans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Base URL of an OpenTelemetry collector that takes OTLP over HTTP (protobuf), such as
    /// `http://collector.tracing:4318`; spans are sent to its path `/v1/traces`. A certificate of an `https`
    /// endpoint must be signed by a public authority.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\\\\[[0-9a-fA-F:.]+\\\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[-a-zA-Z0-9._~/]*)?$')")
        .message("spec.observability.tracing.otlpEndpoint: give a URL with http or https, without user, password and query, such as http://collector.tracing:4318"))]
    pub otlp_endpoint: String,
    /// Percentage of traces that are exported. The decision is made where a trace begins, usually at the
    /// gateway, and is propagated; a request with a `traceparent` carries the decision of its sender.
    #[serde(default = "all")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: i32,
}

fn all() -> i32 {
    100
}
