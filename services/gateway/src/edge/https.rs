//! From HTTP to HTTPS.

use gateway_routes::Table;
use gateway_routes::path::ACME;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};

use super::head::Head;
use super::visitor::Visitor;

/// The redirect of a request that came over HTTP, where the gateway is to send one and serves the host over
/// HTTPS at this moment.
pub fn redirect<B: Default>(
    table: &Table,
    visitor: Visitor,
    head: &Head,
    query: Option<&str>,
) -> Option<Response<B>> {
    if !table.settings.redirects || visitor.is_https || head.path.starts_with(ACME) {
        return None;
    }
    let port = table.tls_port(&head.host)?;
    let host = &head.host;
    let mut location = match port {
        443 => format!("https://{host}"),
        other => format!("https://{host}:{other}"),
    };
    location.push_str(&head.path);
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let mut response = Response::new(B::default());
    // It keeps the method and the body.
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let location = HeaderValue::try_from(location).ok()?;
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}
