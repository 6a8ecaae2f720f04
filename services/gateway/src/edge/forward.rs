//! To a backend and back.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use gateway_routes::{Choice, Target, Timeout};
use http::header::{CONTENT_LENGTH, HOST, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::Rest;
use super::handle::{Connection, Routed};
use super::{Exchange, RequestBody, headers, upgrade};
use crate::problem::Problem;
use crate::upstream::{self, Patience, SendError};

/// What goes back to the client.
pub enum Reply {
    /// An answer of ours.
    Own(Response<Bytes>),
    /// A backend's.
    Backend(Response<Incoming>, Rest),
}

pub(super) async fn forward(
    connection: &Rc<Connection>,
    routed: Routed<'_>,
    (mut request, protocol): (Request<Incoming>, Option<HeaderValue>),
    exchange: &mut Exchange,
) -> Result<Reply, Problem> {
    let worker = &connection.worker;
    let broken = |title| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broken_route", title);
    let rule = routed.rule.clone();
    let choice = rule
        .backends
        .pick()
        .ok_or_else(|| broken("The route has no backend that takes requests"))?;
    let Target::Cluster(cluster) = choice.target else {
        return Err(broken("The route's backend does not exist"));
    };
    let cluster = routed.published.table.cluster(cluster);
    let addresses = cluster
        .map(|cluster| cluster.endpoints.clone())
        .unwrap_or_default();

    let limit = worker.limits().max_body_bytes;
    if declared_length(&request).is_some_and(|length| length > limit) {
        return Err(Problem::too_large());
    }
    let client_side = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
    let mut outgoing = rewrite(connection, &routed, choice, request, exchange)?;
    if let Some(protocol) = protocol.clone() {
        upgrade::ask(outgoing.headers_mut(), protocol);
    }
    let outgoing = outgoing.map(|body| RequestBody::new(body, limit));
    let upload = outgoing.body().upload();
    exchange.upload = Some(upload.clone());

    let started = Instant::from_std(exchange.started());
    let whole = rule.request_timeout.or(worker.limits().request_timeout());
    let patience = Patience {
        deadline: whole.map(|whole| started + whole),
        each: rule.backend_timeout.or(None),
    };
    let answer = upstream::send(worker, &addresses, outgoing, patience).await;
    let answer = answer.map_err(|error| match error {
        SendError::TimedOut if !upload.is_done() => refuse(SendError::ClientSlow),
        error => refuse(error),
    })?;
    let mut response = answer.response;
    exchange.answered_by(answer.lease.endpoint.address);
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    headers::strip_hop_by_hop(response.headers_mut());
    choice.filters.response.apply(response.headers_mut());
    rule.filters.response.apply(response.headers_mut());
    if switches {
        return switch(
            connection,
            response,
            answer.lease,
            client_side.zip(protocol),
        );
    }
    let rest = Rest {
        lease: answer.lease,
        upload,
        idle_limit: Duration::from_secs(worker.limits().idle_timeout_secs),
        deadline: match rule.request_timeout {
            Timeout::After(whole) => Some(started + whole),
            Timeout::Default | Timeout::Unlimited => None,
        },
    };
    Ok(Reply::Backend(response, rest))
}

/// The request as the backend shall see it.
fn rewrite(
    connection: &Connection,
    routed: &Routed<'_>,
    choice: &Choice,
    request: Request<Incoming>,
    exchange: &Exchange,
) -> Result<Request<Incoming>, Problem> {
    let rule = &routed.rule;
    let (mut parts, body) = request.into_parts();
    let map = &mut parts.headers;
    headers::forwarded(
        map,
        connection.client,
        connection.is_tls,
        &routed.head.authority,
    );
    if let Ok(id) = HeaderValue::try_from(exchange.request_id()) {
        map.insert(headers::REQUEST_ID, id);
    }
    let trace = exchange.trace().map(|trace| trace.to_string());
    if let Some(Ok(trace)) = trace.map(HeaderValue::try_from) {
        map.insert(headers::TRACEPARENT, trace);
    }
    let new = rule.filters.rewrite.as_ref();
    let host = match new.and_then(|rewrite| rewrite.hostname.clone()) {
        Some(host) => Some(host),
        None => HeaderValue::try_from(&routed.head.authority).ok(),
    };
    if let Some(host) = host {
        map.insert(HOST, host);
    }
    rule.filters.request.apply(map);
    choice.filters.request.apply(map);
    let path = routed.head.path.as_str();
    let changed = new
        .and_then(|rewrite| rewrite.path.as_ref())
        .map(|change| change.apply(path, &path[..routed.prefix_len]));
    parts.uri = target(changed.as_deref().unwrap_or(path), &parts.uri)
        .ok_or_else(|| Problem::malformed("The path is not valid"))?;
    parts.version = Version::HTTP_11;
    Ok(Request::from_parts(parts, body))
}

/// Path and query; the text is only put together when it differs from what came.
fn target(path: &str, original: &Uri) -> Option<Uri> {
    let sent = original.path_and_query()?;
    let whole = if sent.path() == path {
        sent.clone()
    } else {
        match sent.query() {
            None => PathAndQuery::try_from(path).ok()?,
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")).ok()?,
        }
    };
    Some(Uri::from(whole))
}

fn declared_length<B>(request: &Request<B>) -> Option<u64> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn refuse(error: SendError) -> Problem {
    let unavailable = |title| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_backend", title)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    };
    let bad = |title| Problem::new(StatusCode::BAD_GATEWAY, "bad_gateway", title);
    match error {
        SendError::NoEndpoint => unavailable("No backend is ready"),
        SendError::Busy => unavailable("The backends are busy"),
        SendError::Unreachable => bad("The backend could not be reached"),
        SendError::Broken => bad("The backend broke off"),
        SendError::TimedOut => {
            let title = "The backend did not answer in time";
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "backend_timeout", title)
        }
        SendError::ClientSlow => {
            let title = "The request did not come in time";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", title).closing()
        }
        SendError::BodyTooLarge => Problem::too_large(),
        SendError::ClientGone => Problem::malformed("The request body broke off"),
    }
}

/// Passes on that the backend agreed, and joins the two sides.
fn switch(
    connection: &Connection,
    mut response: Response<Incoming>,
    lease: upstream::Lease,
    client: Option<(hyper::upgrade::OnUpgrade, HeaderValue)>,
) -> Result<Reply, Problem> {
    let Some((client, protocol)) = client else {
        return Err(refuse(SendError::Broken));
    };
    let guard = (lease, connection.worker.hold());
    upgrade::join(client, &mut response, guard);
    let mut own = Response::new(Bytes::new());
    *own.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *own.headers_mut() = std::mem::take(response.headers_mut());
    upgrade::ask(own.headers_mut(), protocol);
    Ok(Reply::Own(own))
}
