//! Fields of the Gateway API that are not honoured. What such a field asks for, client certificates for
//! instance, would be left out without a word, so the part with the field is refused.

use crate::api::{Gateway, HTTPRoute, HTTPRouteRule, Listener, Unknown};

/// Without these less is served, not more: nothing attaches by them.
const HARMLESS: [&str; 3] = ["allowedListeners", "defaultScope", "useDefaultGateways"];

/// What the spec of a gateway asks for and does not get.
pub(crate) fn of_gateway(gateway: &Gateway) -> Result<(), String> {
    refuse("spec", &gateway.spec.unknown)
}

/// The same of a listener.
pub(crate) fn of_listener(listener: &Listener) -> Result<(), String> {
    refuse("listener", &listener.unknown)?;
    let Some(tls) = &listener.tls else {
        return Ok(());
    };
    refuse("tls", &tls.unknown)?;
    match tls.options.iter().flatten().next() {
        None => Ok(()),
        Some((name, _)) => Err(format!(
            "tls.options: {name} is not supported; remove it, until then the listener is not served"
        )),
    }
}

/// The same of a route as a whole.
pub(crate) fn of_route(route: &HTTPRoute) -> Result<(), String> {
    refuse("spec", &route.spec.unknown)
}

/// The same of a rule.
pub(crate) fn of_rule(rule: &HTTPRouteRule) -> Result<(), String> {
    refuse("rule", &rule.unknown)?;
    for one in rule.matches.iter().flatten() {
        refuse("matches", &one.unknown)?;
    }
    for backend in rule.backend_refs.iter().flatten() {
        refuse("backendRefs", &backend.unknown)?;
    }
    match &rule.timeouts {
        Some(timeouts) => refuse("timeouts", &timeouts.unknown),
        None => Ok(()),
    }
}

fn refuse(place: &str, unknown: &Unknown) -> Result<(), String> {
    let mut names = unknown.keys();
    match names.find(|name| !HARMLESS.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!(
            "{place}.{name} is not supported; remove it, until then nothing is served that it concerns"
        )),
    }
}
