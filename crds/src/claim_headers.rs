//! The headers that no claim may be put into: those that frame or route a message, and those by which services know
//! or trust the client, or act.
//!
//! A header that is filled from a claim is taken from what clients send on every route, so a policy for one route
//! could otherwise take away from all others what they work with.

use kube::core::Rule;

/// In lower case.
const NAMES: [&str; 32] = [
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "early-data",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-http-method",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-method-override",
];

/// How further ones begin, in lower case.
const BEGINNINGS: [&str; 10] = [
    "accept",
    "access-control-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "webhook-",
    "x-forwarded-",
    "x-http-method-",
    "x-internal",
];

/// Whether no claim may be put into the header of this name.
pub fn is_reserved_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || BEGINNINGS.iter().any(|start| name.starts_with(start))
}

/// The same as a rule of the definition.
pub(crate) fn not_reserved() -> Rule {
    let below = BEGINNINGS.map(|start| format!("{start}.*")).join("|");
    let rule = format!("!self.matches('(?i)^({}|{below})$')", NAMES.join("|"));
    Rule::new(rule).message(
        "claimToHeaders.header: the gateway or services trust or act on this header, such as Host, Authorization, Cookie, Idempotency-Key, X-Request-Id, X-Forwarded-* and X-Internal-*; choose a name of your own, such as X-User-Id",
    )
}
