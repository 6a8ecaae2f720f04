//! Spans of HTTP requests by OpenTelemetry's semantic conventions. No query and no header but the host: they
//! may hold secrets.

use http::Method;

use crate::TraceContext;
use crate::record::{Kind, Record};
use crate::span::Span;

/// The request was cancelled before there was a response.
const CANCELLED: &str = "cancelled";

/// The methods that OpenTelemetry names; clients may make up others, and those must not become labels.
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The [`method_label`].
    pub method: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host, with a port or without.
    pub authority: &'a str,
    /// Path without query.
    pub path: &'a str,
}

/// A server span. Dropped without [`answered`], it is recorded as cancelled.
pub fn serve(parent: Option<TraceContext>, asked: Asked<'_>) -> Span {
    let mut span = Span::begin(Kind::Server, asked.method, parent);
    if let Some(record) = span.record() {
        describe(record, asked);
        record.set("url.scheme", asked.scheme);
        record.set("url.path", asked.path.to_owned());
    }
    span
}

/// A client span below the current context; `None` where nothing is recorded.
pub fn ask(asked: Asked<'_>) -> Option<Span> {
    let mut span = Span::inside(Kind::Client, asked.method)?;
    if let Some(record) = span.record() {
        describe(record, asked);
        let Asked {
            scheme,
            authority,
            path,
            ..
        } = asked;
        record.set("url.full", format!("{scheme}://{authority}{path}"));
    }
    Some(span)
}

fn describe(record: &mut Record, asked: Asked<'_>) {
    record.fail(CANCELLED);
    record.set("http.request.method", asked.method);
    let (host, port) = split(asked.authority);
    if !host.is_empty() {
        record.set("server.address", host.to_owned());
    }
    if let Some(port) = port {
        record.set("server.port", port);
    }
}

/// Host and port; an IPv6 address without brackets.
fn split(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Names the span by its route: a template, never a path.
pub fn routed(record: &mut Record, method: &'static str, route: &str) {
    if !route.is_empty() {
        record.name(format!("{method} {route}"));
        record.set("http.route", route.to_owned());
    }
}

/// Records the status. For a server, 5xx are errors; for a client, 4xx as well.
pub fn answered(record: &mut Record, status: u16) {
    record.set("http.response.status_code", status);
    let from = if record.kind == Kind::Client {
        400
    } else {
        500
    };
    if status >= from {
        record.fail(status.to_string());
    } else {
        record.succeed();
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        assert_eq!(split("shop.example"), ("shop.example", None));
        assert_eq!(split("demo-order:8080"), ("demo-order", Some(8080)));
        assert_eq!(split("[::1]:80"), ("::1", Some(80)));
        assert_eq!(split("[::1]"), ("::1", None));
        assert_eq!(split(""), ("", None));
    }
}
