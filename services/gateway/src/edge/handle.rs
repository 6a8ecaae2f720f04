//! From a request to a response: the steps of a request in their order.

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use chassis::Problem;
use gateway_routes::Guard;
use gateway_routes::filter::{Origin, Redirect};
use http::header::{CONNECTION, LOCATION};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use super::connection::Connection;
use super::exchange::Exchange;
use super::forward::{Forward, Reply, forward};
use super::head::{self, Head};
use super::limits::TightestLimit;
use super::refusal::broken_route;
use super::response_body::ResponseBody;
use super::route::{self, Route};
use super::state::WorkerState;
use super::visitor::Visitor;
use super::{headers, https, upgrade};
use crate::policy::jwt::{self, Identity};
use crate::published::Snapshot;

/// Bytes of a refused request's body that hyper skips to come to the next request. A longer body ends the
/// connection.
const MAX_SKIPPED: u64 = 4096;

/// Responds to a request. There is always a response, and each one is recorded.
pub async fn handle(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let worker = &connection.worker;
    let version = request.version();
    let expected = request.body().size_hint().upper().unwrap_or(u64::MAX);
    let request_id = match headers::valid_request_id(request.headers()) {
        Some(id) => id.to_owned(),
        None => worker.request_ids.mint(),
    };
    let published = worker.published();
    let hops = published.table.settings.trusted_hops;
    let visitor = Visitor::of(&connection, request.headers(), hops);
    let method = request.method().clone();
    let mut exchange = Exchange::new(connection.clone(), method, visitor.client, request_id);
    let mut limit = TightestLimit::default();
    let asked = Asked {
        connection: &connection,
        published: &published,
        visitor,
    };
    let replied = asked.respond(request, &mut exchange, &mut limit).await;
    let is_read = exchange.is_read(expected > 0);
    let mut response = into_response(replied, exchange);
    let headers = response.headers_mut();
    limit.describe(headers);
    let hsts = published.table.settings.hsts.as_ref();
    headers::to_client(headers, hsts.filter(|_| visitor.is_https));
    if !is_read {
        connection.conversation.linger();
    }
    let is_abandoned = !is_read && expected > MAX_SKIPPED;
    if version > Version::HTTP_11 {
        headers.remove(CONNECTION);
    } else if is_abandoned || worker.is_draining() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Who asks what is served.
struct Asked<'a> {
    connection: &'a Rc<Connection>,
    published: &'a Snapshot,
    visitor: Visitor,
}

impl Asked<'_> {
    /// Every step either refuses the request or lets it pass on to the next one.
    async fn respond(
        &self,
        mut request: Request<Incoming>,
        exchange: &mut Exchange,
        limit: &mut TightestLimit,
    ) -> Result<Reply, Problem> {
        let Self {
            connection,
            published,
            visitor,
        } = *self;
        let worker = &connection.worker;

        // 1. Understand the request in one way only.
        let head = head::check(&request, worker.limits().max_head_bytes)?;
        exchange.requested(&head, visitor.is_https, request.headers());

        // 2. Find the listener and the rule; what services only say to each other has none, whatever routes name.
        let listener = route::listener(connection, &published.table, &head)?;
        head::refuse_internal(&head.path)?;
        let query = request.uri().query();
        if let Some(moved) = https::redirect(&published.table, visitor, &head, query) {
            return Ok(Reply::Own(moved));
        }
        let route = route::rule(listener, &head, &request)?;
        exchange.routed(&route.rule.label);
        route::check_servable(&route.rule)?;

        // 3. Count at the limits per client, before a token costs the verification of a signature.
        let counted = (request.method(), head.path.as_str());
        let client = chassis::client_network(visitor.client);
        limit.count(worker, &route.rule.limits, counted, client)?;

        // 4. Establish who is calling, and refuse who may not. Limits per user would be counted after this.
        let identity = authenticate(worker, route.rule.guard.as_ref(), request.headers()).await?;

        // 5. Replace the headers that are not the client's to set.
        let protocol = upgrade::wanted(&request);
        let identity_headers = published.table.identity_headers();
        let dropped = headers::to_backend(request.headers_mut(), identity_headers);
        worker.metrics().dropped(dropped.by_reason());
        if let (Some(Guard::Jwt(settings)), Some(identity)) = (&route.rule.guard, &identity) {
            jwt::pass_claims(settings, identity, request.headers_mut());
        }
        exchange.authenticated(identity);

        // 6. Redirect, or forward to a backend.
        if let Some(redirect) = &route.rule.filters.redirect {
            let origin = (connection.port, visitor.is_https);
            return redirect_to(origin, &head, &route, redirect, request.uri().query());
        }
        let forwarded = Forward {
            connection,
            visitor,
            table: &published.table,
            head: &head,
            route: &route,
        };
        forward(forwarded, request, protocol, exchange).await
    }
}

fn into_response(
    replied: Result<Reply, Problem>,
    mut exchange: Exchange,
) -> Response<ResponseBody> {
    let own = match replied {
        Ok(Reply::Backend(mut response, rest)) => {
            exchange.responded(response.status());
            set_request_id(response.headers_mut(), &exchange);
            return response.map(|body| ResponseBody::backend(body, rest, exchange));
        }
        Ok(Reply::Own(response)) => response,
        Err(problem) => problem.render(Some(exchange.request_id())),
    };
    exchange.responded(own.status());
    let mut own = own;
    set_request_id(own.headers_mut(), &exchange);
    own.map(|body| ResponseBody::own(body, exchange))
}

fn set_request_id(headers: &mut HeaderMap, exchange: &Exchange) {
    if let Ok(id) = HeaderValue::try_from(exchange.request_id()) {
        headers.insert(headers::REQUEST_ID, id);
    }
}

async fn authenticate(
    worker: &WorkerState,
    guard: Option<&Guard>,
    headers: &HeaderMap,
) -> Result<Option<Rc<Identity>>, Problem> {
    let settings = match guard {
        None => return Ok(None),
        Some(Guard::Jwt(settings)) => settings,
        Some(Guard::Refuse(policy)) => {
            tracing::debug!(%policy, "request refused: its policy is invalid");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let title = "The policy of this route is invalid";
            return Err(Problem::new(status, "broken_policy", title));
        }
    };
    let issuers = &worker.resources.issuers;
    let admitted = worker.tokens.admit(settings, issuers, headers).await;
    let outcome = match &admitted {
        Ok(Some(_)) => "passed",
        Ok(None) => "anonymous",
        Err(refusal) => refusal.outcome(),
    };
    worker.series.count_token(&settings.policy, outcome);
    admitted.map_err(jwt::Refusal::problem)
}

fn redirect_to(
    (port, is_https): (u16, bool),
    head: &Head,
    route: &Route,
    redirect: &Redirect,
    query: Option<&str>,
) -> Result<Reply, Problem> {
    let location = redirect.location(&Origin {
        scheme: if is_https { "https" } else { "http" },
        host: &head.host,
        port,
        path: &head.path,
        query,
        prefix: route.prefix(&head.path),
    });
    let location = HeaderValue::try_from(location)
        .map_err(|_| broken_route("The redirect of the route is not a valid header"))?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = redirect.status;
    response.headers_mut().insert(LOCATION, location);
    route.rule.filters.response.apply(response.headers_mut());
    Ok(Reply::Own(response))
}
