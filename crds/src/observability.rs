//! What a shop tells about itself beside metrics and logs.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What a shop tells about itself beside metrics and logs, which are always there.
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
    #[schemars(
        length(min = 8, max = 512),
        regex(
            pattern = r"^https?://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[-a-zA-Z0-9._~/]*)?$"
        )
    )]
    pub otlp_endpoint: String,
    /// How many of a hundred traces are exported. It is decided where a trace begins, as a rule at the
    /// gateway, and everybody after that follows; a request that comes with a `traceparent` has it decided already.
    #[serde(default = "all")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: i32,
}

fn all() -> i32 {
    100
}
