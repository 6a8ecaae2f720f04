//! From a request to an answer: check, match, admit, forward.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use gateway_routes::filter::Origin;
use gateway_routes::{Guard, Limit, Matched, RequestHead, RouteRule};
use http::header::{CONNECTION, HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::head::{self, Head};
use super::{Exchange, ResponseBody, forward, headers, upgrade};
use crate::control::Published;
use crate::policy::{jwt, rate_limit};
use crate::problem::Problem;
use crate::worker::Worker;

/// What is known about a client's connection.
#[derive(Debug)]
pub struct Connection {
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// The client.
    pub client: IpAddr,
    /// The listeners' port, as clients see it.
    pub port: u16,
    /// Whether it is encrypted.
    pub is_tls: bool,
    /// The listener whose certificate was shown.
    pub listener: Option<Box<str>>,
}

/// A request that found its rule.
pub(super) struct Routed<'a> {
    pub published: &'a Published,
    pub head: Head,
    pub rule: Arc<RouteRule>,
    pub prefix_len: usize,
}

type RateLimitHeaders = Option<(HeaderValue, HeaderValue)>;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Answers a request. There is always an answer.
pub async fn handle(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let worker = connection.worker.clone();
    let version = request.version();
    let request_id = match headers::valid_request_id(request.headers()) {
        Some(id) => id.to_owned(),
        None => worker.mint_request_id(),
    };
    let mut exchange = Exchange::new(
        worker.clone(),
        request.method().clone(),
        connection.client,
        request_id,
    );
    let mut limits = None;
    let answered = answer(&connection, request, &mut exchange, &mut limits).await;
    let mut response = match answered {
        Ok(forward::Reply::Backend(response, rest)) => {
            exchange.answers(response.status());
            let id = HeaderValue::try_from(exchange.request_id());
            let mut response = response.map(|body| ResponseBody::backend(body, rest, exchange));
            if let Ok(id) = id {
                response.headers_mut().insert(headers::REQUEST_ID, id);
            }
            response
        }
        Ok(forward::Reply::Own(response)) => finish(response, exchange),
        Err(problem) => {
            let response = problem.into_response(exchange.request_id());
            finish(response, exchange)
        }
    };
    if let Some((policy, state)) = limits {
        response.headers_mut().insert(RATE_LIMIT_POLICY, policy);
        response.headers_mut().insert(RATE_LIMIT, state);
    }
    if worker.is_draining() && version <= Version::HTTP_11 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if version > Version::HTTP_11 {
        response.headers_mut().remove(CONNECTION);
    }
    Ok(response)
}

fn finish(mut response: Response<Bytes>, mut exchange: Exchange) -> Response<ResponseBody> {
    exchange.answers(response.status());
    if let Ok(id) = HeaderValue::try_from(exchange.request_id()) {
        response.headers_mut().insert(headers::REQUEST_ID, id);
    }
    response.map(|body| ResponseBody::own(body, exchange))
}

async fn answer(
    connection: &Rc<Connection>,
    mut request: Request<Incoming>,
    exchange: &mut Exchange,
    limits: &mut RateLimitHeaders,
) -> Result<forward::Reply, Problem> {
    let worker = &connection.worker;
    let head = head::check(&request, worker.limits().max_head_bytes)?;
    let traceparent = request.headers().get(headers::TRACEPARENT);
    exchange.asks_for(&head, connection.is_tls, traceparent);
    let published = worker.published();
    let routed = route(connection, &published, head, &request)?;
    let rule = routed.rule.clone();
    exchange.route = Some(rule.label.clone());
    if rule.is_broken {
        let title = "The route asks for something that is not supported";
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken_route",
            title,
        ));
    }
    count(
        connection,
        &rule.limits,
        &routed.head.path,
        &request,
        limits,
    )?;
    let identity = admit(worker, rule.guard.as_ref(), &request).await?;
    let protocol = upgrade::wanted(&request);
    headers::to_backend(request.headers_mut(), published.table.identity_headers());
    if let (Some(Guard::Jwt(settings)), Some(identity)) = (&rule.guard, &identity) {
        jwt::pass_on(settings, identity, request.headers_mut());
    }
    exchange.identity = identity;
    if let Some(redirect) = &rule.filters.redirect {
        return redirect_to(connection, &routed, redirect, &request);
    }
    forward::forward(connection, routed, (request, protocol), exchange).await
}

fn route<'a>(
    connection: &Connection,
    published: &'a Published,
    head: Head,
    request: &Request<Incoming>,
) -> Result<Routed<'a>, Problem> {
    let port = published
        .table
        .port(connection.port)
        .ok_or_else(Problem::no_route)?;
    let listener = port.listener(&head.host).ok_or_else(Problem::no_route)?;
    if connection.is_tls && connection.listener.as_deref() != Some(&*listener.name) {
        let title = "This connection was made for another host";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Err(Problem::new(status, "misdirected_request", title));
    }
    if head::is_internal(&head.path) {
        return Err(Problem::no_route());
    }
    let asked = RequestHead {
        host: &head.host,
        path: &head.path,
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
    };
    let Matched { rule, prefix_len } = listener.find(&asked).ok_or_else(Problem::no_route)?;
    let rule = rule.clone();
    Ok(Routed {
        published,
        head,
        rule,
        prefix_len,
    })
}

/// Counts the request at every limit that covers it; the tightest one is told to the client.
fn count(
    connection: &Connection,
    limits: &[Arc<Limit>],
    path: &str,
    request: &Request<Incoming>,
    told: &mut RateLimitHeaders,
) -> Result<(), Problem> {
    let mut tightest: Option<(&Limit, rate_limit::Verdict)> = None;
    for limit in limits
        .iter()
        .filter(|limit| limit.covers(request.method(), path))
    {
        let verdict = connection
            .worker
            .shared
            .limiter
            .check(limit, connection.client);
        if !verdict.is_allowed {
            connection
                .worker
                .metrics()
                .rate_limited
                .with_label_values(&[&*limit.id])
                .inc();
            *told = rate_limit::header_values(limit, verdict);
            let title = "There were too many requests";
            return Err(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", title)
                    .header(RETRY_AFTER, HeaderValue::from(verdict.reset_secs)),
            );
        }
        if tightest.is_none_or(|(_, other)| verdict.remaining < other.remaining) {
            tightest = Some((limit, verdict));
        }
    }
    *told = tightest.and_then(|(limit, verdict)| rate_limit::header_values(limit, verdict));
    Ok(())
}

async fn admit(
    worker: &Worker,
    guard: Option<&Guard>,
    request: &Request<Incoming>,
) -> Result<Option<Rc<jwt::Identity>>, Problem> {
    let settings = match guard {
        None => return Ok(None),
        Some(Guard::Refuse(policy)) => {
            let title = "The policy of this route cannot be honoured";
            tracing::debug!(%policy, "refused: the policy is not valid");
            return Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "broken_policy",
                title,
            ));
        }
        Some(Guard::Jwt(settings)) => settings,
    };
    let admitted = worker
        .gatekeeper
        .admit(settings, &worker.shared.issuers, request.headers())
        .await;
    let outcome = match &admitted {
        Ok(Some(_)) => "passed",
        Ok(None) => "anonymous",
        Err(refusal) => refusal.outcome(),
    };
    worker.count_jwt(&settings.policy, outcome);
    admitted.map_err(jwt::Refusal::problem)
}

fn redirect_to(
    connection: &Connection,
    routed: &Routed<'_>,
    redirect: &gateway_routes::filter::Redirect,
    request: &Request<Incoming>,
) -> Result<forward::Reply, Problem> {
    let location = redirect.location(&Origin {
        scheme: if connection.is_tls { "https" } else { "http" },
        host: &routed.head.host,
        port: connection.port,
        path: &routed.head.path,
        query: request.uri().query(),
        prefix: &routed.head.path[..routed.prefix_len],
    });
    let location = HeaderValue::try_from(location).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken_route",
            "The redirect is not valid",
        )
    })?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = redirect.status;
    response.headers_mut().insert(LOCATION, location);
    routed.rule.filters.response.apply(response.headers_mut());
    Ok(forward::Reply::Own(response))
}
