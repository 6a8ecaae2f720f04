//! The collector of a shop's spans: environment of its pods, and the egress that they need.

use std::collections::BTreeMap;

use crds::Storefront;
use k8s_openapi::api::{
    core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector},
    networking::v1::NetworkPolicyEgressRule,
};
use url::Url;

use crate::{
    Invalid,
    network::{allow_to, tcp},
    pods::{env, expanded_env},
};

/// Annotation of a Gateway with the collector that its data plane exports to.
const ENDPOINT_ANNOTATION: &str = "storefront.dev/otlp-endpoint";
/// Annotation of a Gateway with the percentage of traces that are exported.
const PERCENT_ANNOTATION: &str = "storefront.dev/trace-sample-percent";
/// The variable with the pod's name. A variable may refer to an earlier one, and they are sorted by name.
const POD_NAME: &str = "OTEL_K8S_POD_NAME";

/// An OpenTelemetry collector, and the percentage of traces that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector {
    endpoint: String,
    port: i32,
    percent: u8,
}

impl Collector {
    fn new(endpoint: &str, percent: u8) -> Option<Self> {
        Some(Self {
            endpoint: endpoint.to_owned(),
            port: port(endpoint)?,
            percent: (percent <= 100).then_some(percent)?,
        })
    }

    /// The one that the shop's spec names.
    pub(crate) fn of(storefront: &Storefront) -> Option<Self> {
        let tracing = storefront.spec.observability.as_ref()?.tracing.as_ref()?;
        let percent = u8::try_from(tracing.sample_percent).ok()?;
        Self::new(&tracing.otlp_endpoint, percent)
    }

    /// Annotations by which a Gateway passes it on to its data plane.
    pub(crate) fn annotations(&self) -> [(String, String); 2] {
        [
            (ENDPOINT_ANNOTATION.to_owned(), self.endpoint.clone()),
            (PERCENT_ANNOTATION.to_owned(), self.percent.to_string()),
        ]
    }

    /// The one that a Gateway's annotations name.
    pub(crate) fn read(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, Invalid> {
        let Some(endpoint) = annotations.get(ENDPOINT_ANNOTATION) else {
            return Ok(None);
        };
        let percent = annotations.get(PERCENT_ANNOTATION);
        let percent = percent.map_or(Some(100), |text| text.parse().ok());
        let read = percent.and_then(|percent| Self::new(endpoint, percent));
        read.map(Some).ok_or_else(|| {
            let text = format!(
                "metadata.annotations: {ENDPOINT_ANNOTATION} must be a URL with http or https, {PERCENT_ANNOTATION} a whole number up to 100"
            );
            Invalid::new("TracingInvalid", text)
        })
    }

    /// Environment of a pod of the service `name`: the variables that every OpenTelemetry SDK reads.
    pub(crate) fn environment(&self, name: &str, namespace: &str) -> Vec<EnvVar> {
        let attributes = format!("service.namespace={namespace},service.instance.id=$({POD_NAME})");
        let ratio = format!("{}.{:02}", self.percent / 100, self.percent % 100);
        vec![
            env("OTEL_EXPORTER_OTLP_ENDPOINT", &*self.endpoint),
            env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            EnvVar {
                name: POD_NAME.to_owned(),
                value: None,
                value_from: Some(EnvVarSource {
                    field_ref: Some(ObjectFieldSelector {
                        api_version: Some("v1".into()),
                        field_path: "metadata.name".into(),
                    }),
                    ..EnvVarSource::default()
                }),
            },
            expanded_env("OTEL_RESOURCE_ATTRIBUTES", attributes),
            env("OTEL_SERVICE_NAME", name),
            env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            env("OTEL_TRACES_SAMPLER_ARG", ratio),
        ]
    }

    /// Egress to it. Where it runs is unknown, so the rule is limited by its port only.
    pub(crate) fn egress(&self) -> NetworkPolicyEgressRule {
        allow_to(Vec::new(), tcp(&[self.port]))
    }
}

/// The port of an HTTP URL.
fn port(url: &str) -> Option<i32> {
    let url = Url::parse(url).ok()?;
    let is_http = matches!(url.scheme(), "http" | "https");
    let port = url.port_or_known_default().filter(|_| is_http)?;
    Some(i32::from(port))
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_of_a_url_is_named_or_that_of_its_scheme() {
        assert_eq!(port("http://collector.tracing:4318"), Some(4318));
        assert_eq!(port("https://otlp.example/shop/eu"), Some(443));
        assert_eq!(port("http://[fd00::1]:4318/"), Some(4318));
        assert_eq!(port("http://[fd00::1]"), Some(80));
        for bad in [
            "collector:4318",
            "ftp://collector",
            "http://",
            "http://a:0x1",
        ] {
            assert_eq!(port(bad), None, "{bad}");
        }
    }
}
