//! From a checked head to the rule that serves it.

use std::sync::Arc;

use chassis::Problem;
use gateway_routes::{ListenerTable, Matched, RequestHead, RouteRule, Table};
use http::{Request, StatusCode};

use super::connection::Connection;
use super::head::Head;
use super::refusal::{broken_route, no_route};

/// The rule of a request.
pub struct Route {
    pub rule: Arc<RouteRule>,
    /// Length of the path prefix that the rule matched.
    prefix_len: usize,
}

impl Route {
    /// The part of the request's path that the rule matched.
    pub fn prefix<'a>(&self, path: &'a str) -> &'a str {
        path.get(..self.prefix_len).unwrap_or(path)
    }
}

/// The listener of the request's host. On a TLS connection it has to be the one whose certificate the
/// client was shown: another one may demand other things of clients.
pub fn listener<'t>(
    connection: &Connection,
    table: &'t Table,
    head: &Head,
) -> Result<&'t ListenerTable, Problem> {
    let port = table.port(connection.port).ok_or_else(no_route)?;
    let listener = port.listener(&head.host).ok_or_else(no_route)?;
    if connection.is_tls && connection.listener.as_deref() != Some(&*listener.name) {
        let title = "This connection was made for another host";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Err(Problem::new(status, "misdirected_request", title));
    }
    Ok(listener)
}

/// The rule that matches, if it can be served.
pub fn rule<B>(
    listener: &ListenerTable,
    head: &Head,
    request: &Request<B>,
) -> Result<Route, Problem> {
    let wanted = RequestHead {
        host: &head.host,
        path: &head.path,
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
    };
    let Matched { rule, prefix_len } = listener.find(&wanted).ok_or_else(no_route)?;
    Ok(Route {
        rule: rule.clone(),
        prefix_len,
    })
}

/// Refuses a rule that asks for something unsupported: leaving that out could leave out a protection.
pub fn check_servable(rule: &RouteRule) -> Result<(), Problem> {
    if rule.is_broken {
        return Err(broken_route(
            "The route asks for something that is not supported",
        ));
    }
    Ok(())
}
