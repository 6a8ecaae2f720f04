use jiff::Timestamp;

use super::{Stamp, settle};
use crate::api::{CONTROLLER_NAME, GatewayClass, GatewayClassStatus, SupportedFeature};
use crate::verdict::Verdict;

/// Supported features, by the names of the conformance suite, sorted.
pub const SUPPORTED_FEATURES: &[&str] = &[
    "Gateway",
    "GatewayHTTPListenerIsolation",
    "GatewayHTTPSListenerDetectMisdirectedRequests",
    "GatewayPort8080",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteSchemeRedirect",
];

/// The status of a class, or `None` when another controller serves it.
pub fn gateway_class_status(class: &GatewayClass, now: Timestamp) -> Option<GatewayClassStatus> {
    if class.spec.controller_name != CONTROLLER_NAME {
        return None;
    }
    let accepted = match &class.spec.parameters_ref {
        None => Verdict::yes("Accepted", "The class is served by the Storefront gateway"),
        Some(parameters) => Verdict::no(
            "InvalidParameters",
            format!(
                "parametersRef {} is not supported: remove it",
                parameters.name
            ),
        ),
    };
    let previous = class.status.clone().unwrap_or_default();
    let stamp = Stamp {
        now,
        generation: class.metadata.generation,
    };
    let conditions = settle(
        &previous.conditions,
        &["Accepted"],
        &[("Accepted", accepted)],
        stamp,
    );
    let features = SUPPORTED_FEATURES.iter().map(|name| SupportedFeature {
        name: (*name).to_owned(),
    });
    Some(GatewayClassStatus {
        conditions,
        supported_features: Some(features.collect()),
    })
}
