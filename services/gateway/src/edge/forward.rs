//! To a backend and back.

use std::time::Duration;

use bytes::Bytes;
use chassis::Problem;
use gateway_routes::{Choice, Cluster, Table, Target, Timeout, path};
use http::header::{CONTENT_LENGTH, HOST, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::connection::Connection;
use super::exchange::Exchange;
use super::head::{Head, refuse_internal};
use super::refusal::{body_too_large, broken_route, head_too_large, malformed, request_too_late};
use super::response_body::Rest;
use super::route::Route;
use super::state::WorkerState;
use super::visitor::Visitor;
use super::{headers, upgrade};
use crate::pool::{Answer, Failed, Lease, RequestBody, SendError, TimeLimits};

/// Header fields of a request, together with those that the gateway adds.
const MAX_FIELDS: usize = 100;

/// What goes back to the client.
pub enum Reply {
    /// A response of the gateway itself.
    Own(Response<Bytes>),
    Backend(Response<Incoming>, Rest),
}

/// What decides where a request goes and how it looks there.
pub struct Forward<'a> {
    pub connection: &'a Connection,
    pub visitor: Visitor,
    pub table: &'a Table,
    pub head: &'a Head,
    pub route: &'a Route,
}

/// Sends a request to one of the rule's backends; `protocol` is what the client wants to switch to.
pub async fn forward(
    to: Forward<'_>,
    mut request: Request<Incoming>,
    protocol: Option<HeaderValue>,
    exchange: &mut Exchange,
) -> Result<Reply, Problem> {
    let worker = &to.connection.worker;
    let rule = &to.route.rule;
    let (choice, cluster) = to.backend()?;
    let max_body = worker.limits().max_body_bytes;
    if declared_length(&request).is_some_and(|length| length > max_body) {
        return Err(body_too_large());
    }

    let client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
    let mut outgoing = to.rewrite(choice, request, exchange)?;
    if let Some(protocol) = protocol.clone() {
        upgrade::ask(outgoing.headers_mut(), protocol);
    }
    let outgoing = outgoing.map(|body| RequestBody::new(body, max_body));
    let upload = outgoing.body().upload();
    exchange.uploading(upload.clone());

    let started = Instant::from_std(exchange.started());
    let whole = rule.request_timeout.or(worker.limits().request_timeout());
    let limits = TimeLimits {
        deadline: whole.map(|whole| started + whole),
        per_try: rule.backend_timeout.or(None),
    };
    let sent = send(worker, cluster, outgoing, limits).await;
    let Answer {
        mut response,
        lease,
    } = sent.map_err(|error| match error {
        SendError::TimedOut if !upload.is_done() => refusal(SendError::ClientSlow),
        error => refusal(error),
    })?;
    exchange.backend_responded(lease.endpoint.address);

    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    headers::strip_hop_by_hop(response.headers_mut());
    choice.filters.response.apply(response.headers_mut());
    rule.filters.response.apply(response.headers_mut());
    if switches {
        return switch(to.connection, response, lease, client.zip(protocol));
    }
    let rest = Rest {
        lease,
        upload,
        idle_limit: Duration::from_secs(worker.limits().idle_timeout_secs),
        deadline: match rule.request_timeout {
            Timeout::After(whole) => Some(started + whole),
            Timeout::Default | Timeout::Unlimited => None,
        },
    };
    Ok(Reply::Backend(response, rest))
}

/// Sends a request to an endpoint of a cluster, if need be to one that is ready only later.
async fn send(
    worker: &WorkerState,
    cluster: &Cluster,
    request: Request<RequestBody>,
    limits: TimeLimits,
) -> Result<Answer, SendError> {
    let first = worker.pool.send(&cluster.endpoints, request, limits).await;
    let Failed { error, unsent } = match first {
        Ok(answer) => return Ok(answer),
        Err(failed) => failed,
    };
    let nobody = matches!(error, SendError::NoEndpoint | SendError::Unreachable);
    let Some(request) = unsent.filter(|_| nobody) else {
        return Err(error);
    };
    let Cluster { service, port, .. } = cluster;
    let look = || {
        let published = worker.published();
        let mut clusters = published.table.clusters().iter();
        let found = clusters.find(|other| other.service == *service && other.port == *port)?;
        found.is_ready.then(|| found.endpoints.clone())
    };
    let deadline = limits.deadline;
    let waited = worker
        .waiting
        .endpoints(service, *port, deadline, look)
        .await;
    worker.metrics().waited(waited.is_some());
    let endpoints = waited.ok_or(error)?;
    let second = worker.pool.send(&endpoints, *request, limits).await;
    second.map_err(|failed| failed.error)
}

impl<'a> Forward<'a> {
    /// The backend for this request, by weight, and its endpoints.
    fn backend(&self) -> Result<(&'a Choice, &'a Cluster), Problem> {
        let choice = self.route.rule.backends.pick();
        let choice =
            choice.ok_or_else(|| broken_route("The route has no backend that takes requests"))?;
        let cluster = match choice.target {
            Target::Cluster(cluster) => self.table.cluster(cluster),
            Target::Invalid => None,
            Target::NeedsTls => return Err(self.needs_tls()),
        };
        let cluster = cluster.ok_or_else(|| broken_route("The route's backend does not exist"))?;
        Ok((choice, cluster))
    }

    /// A policy forbids what would be sent, so nothing is.
    fn needs_tls(&self) -> Problem {
        let connections = &self.connection.worker.metrics().upstream_connections;
        connections.with_label_values(&["tls_required"]).inc();
        let title = "A policy requires TLS towards the backend, which the gateway does not support";
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "backend_tls_required",
            title,
        )
    }

    /// The request as the backend receives it.
    fn rewrite(
        &self,
        choice: &Choice,
        request: Request<Incoming>,
        exchange: &Exchange,
    ) -> Result<Request<Incoming>, Problem> {
        let Visitor { client, is_https } = self.visitor;
        let filters = &self.route.rule.filters;
        let (mut parts, body) = request.into_parts();
        let map = &mut parts.headers;
        headers::forwarded(map, client, is_https, &self.head.authority);
        if let Ok(id) = HeaderValue::try_from(exchange.request_id()) {
            map.insert(headers::REQUEST_ID, id);
        }
        let trace = exchange.trace().map(|trace| trace.to_string());
        if let Some(Ok(trace)) = trace.map(HeaderValue::try_from) {
            map.insert(headers::TRACEPARENT, trace);
        }
        let new = filters.rewrite.as_ref();
        let host = match new.and_then(|rewrite| rewrite.hostname.clone()) {
            Some(host) => Some(host),
            None => HeaderValue::try_from(&self.head.authority).ok(),
        };
        if let Some(host) = host {
            map.insert(HOST, host);
        }
        filters.request.apply(map);
        choice.filters.request.apply(map);
        // The parsers of most servers take so many; the ones added here are among them.
        if map.len() > MAX_FIELDS {
            return Err(head_too_large());
        }
        let asked = self.head.path.as_str();
        let changed = new
            .and_then(|rewrite| rewrite.path.as_ref())
            .map(|change| change.apply(asked, self.route.prefix(asked)));
        if let Some(changed) = &changed {
            // A rewrite leads to what no route may expose as little as a request.
            let plain = path::normalise(changed)
                .ok_or_else(|| broken_route("The rewritten path of the route is invalid"))?;
            refuse_internal(&plain)?;
        }
        parts.uri = target(changed.as_deref().unwrap_or(asked), &parts.uri)
            .ok_or_else(|| malformed("The path is invalid"))?;
        parts.version = Version::HTTP_11;
        Ok(Request::from_parts(parts, body))
    }
}

/// Path and query; a new text is only made where the path differs from what the client sent.
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

fn refusal(error: SendError) -> Problem {
    let unavailable = |title| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_backend", title)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    };
    let bad = |title| Problem::new(StatusCode::BAD_GATEWAY, "bad_gateway", title);
    match error {
        SendError::NoEndpoint => unavailable("No backend is ready"),
        SendError::Busy => unavailable("The backends are busy"),
        SendError::Unreachable => bad("The backend could not be reached"),
        SendError::Closed => bad("The backend closed the connection"),
        SendError::Malformed => {
            bad("The response of the backend is not valid HTTP, or has more than 100 header fields")
        }
        SendError::TimedOut => {
            let title = "The backend did not respond in time";
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "backend_timeout", title)
        }
        SendError::ClientSlow => request_too_late(),
        SendError::BodyTooLarge => body_too_large(),
        SendError::ClientGone => malformed("The request body is incomplete"),
    }
}

/// Passes on that the backend switched protocols, and joins the two connections.
fn switch(
    connection: &Connection,
    mut response: Response<Incoming>,
    lease: Lease,
    client: Option<(OnUpgrade, HeaderValue)>,
) -> Result<Reply, Problem> {
    let Some((client, protocol)) = client else {
        return Err(refusal(SendError::Closed));
    };
    let held = (lease, connection.worker.live.hold());
    // Bytes that pass through are nobody's to read.
    connection.conversation.begin();
    upgrade::join(client, &mut response, held);
    let mut own = Response::new(Bytes::new());
    *own.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *own.headers_mut() = std::mem::take(response.headers_mut());
    upgrade::ask(own.headers_mut(), protocol);
    Ok(Reply::Own(own))
}
