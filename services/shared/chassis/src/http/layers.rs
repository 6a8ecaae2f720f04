//! What happens around every handler. One middleware instead of a stack of eight, because each layer of a stack
//! boxes a future per request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use tokio::sync::Semaphore;
use traces::http::{Asked, answered, method_label, routed, serve};
use traces::{Context, Span, TraceContext};
use tracing::Instrument;

use super::Problem;
use crate::registry::HttpMetrics;

/// The id of a request, as an extension for handlers.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// Limits of an API.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Longest request.
    pub timeout: Duration,
    /// Largest body; a route with another limit layers its own `DefaultBodyLimit` inside.
    pub body_bytes: usize,
    /// Requests served concurrently; more are refused with 503.
    pub in_flight: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            body_bytes: 256 * 1024,
            in_flight: 1024,
        }
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

struct Around {
    limits: HttpLimits,
    metrics: HttpMetrics,
    permits: Semaphore,
    draining: Arc<AtomicBool>,
}

/// Puts a router behind limits, metrics, trace context, panic and access log.
///
/// While `draining`, responses say `Connection: close`, so that clients reconnect elsewhere.
pub fn layers(
    router: Router,
    limits: HttpLimits,
    metrics: HttpMetrics,
    draining: Arc<AtomicBool>,
) -> Router {
    let permits = Semaphore::new(limits.in_flight);
    let around = Arc::new(Around {
        limits,
        metrics,
        permits,
        draining,
    });
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            let title = "Method not allowed";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title)
        })
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn_with_state(around, around_handler))
}

/// Serves an OpenAPI document at `/openapi/<service>.json`.
pub fn openapi_route<S>(service: &str, json: String) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let json = bytes::Bytes::from(json);
    let headers = [(CONTENT_TYPE, "application/json")];
    Router::new().route(
        &format!("/openapi/{service}.json"),
        get(move || std::future::ready((headers, json.clone()))),
    )
}

async fn around_handler(
    State(around): State<Arc<Around>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let mut span = begin(method, &request);
    let context = context_of(&span, request.headers());
    let version = request.version();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("", MatchedPath::as_str);
    request
        .extensions_mut()
        .insert(RequestId(Arc::clone(&context.request_id)));

    let logged = tracing::info_span!(
        "request",
        http.method = method,
        http.route = route,
        request_id = &*context.request_id,
        trace_id = context.trace.trace_id(),
        span_id = context.trace.span_id(),
    );
    let active = ActiveRequest::new(&around.metrics);
    let work = guarded(&around, request, next);
    let mut response = traces::scope(context.clone(), work)
        .instrument(logged.clone())
        .await;
    drop(active);

    let elapsed = started.elapsed();
    let status = response.status();
    around
        .metrics
        .duration
        .with_label_values(&[method, route, status.as_str()])
        .observe(elapsed.as_secs_f64());
    if let Some(record) = span.record() {
        routed(record, method, route);
        answered(record, status.as_u16());
    }
    logged.in_scope(|| {
        let millis = elapsed.as_secs_f64() * 1_000.0;
        tracing::info!(target: "access", status = status.as_u16(), millis, "served");
    });
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if around.draining.load(Ordering::Relaxed) && version <= Version::HTTP_11 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn guarded(around: &Around, request: Request, next: Next) -> Response {
    let Ok(_permit) = around.permits.try_acquire() else {
        return Problem::unavailable(1).into_response();
    };
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(around.limits.timeout, handler).await {
        Ok(Ok(response)) => response,
        // The panic hook has logged it.
        Ok(Err(_panic)) => {
            let title = "Internal server error";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title).into_response()
        }
        Err(_elapsed) => {
            let title = "The request took too long";
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", title).into_response()
        }
    }
}

/// Counts a request in progress, also where its client is gone and the future is dropped.
struct ActiveRequest<'a>(&'a HttpMetrics);

impl<'a> ActiveRequest<'a> {
    fn new(metrics: &'a HttpMetrics) -> Self {
        metrics.active.inc();
        Self(metrics)
    }
}

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.0.active.dec();
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn begin(method: &'static str, request: &Request) -> Span {
    let headers = request.headers();
    let parent = text(headers, "traceparent").and_then(TraceContext::parse);
    let asked = Asked {
        method,
        scheme: "http",
        authority: text(headers, HOST.as_str()).unwrap_or_default(),
        path: request.uri().path(),
    };
    serve(parent, asked)
}

fn context_of(span: &Span, headers: &HeaderMap) -> Context {
    let trace = span.context();
    let legal = |id: &&str| (1..=MAX_REQUEST_ID).contains(&id.len());
    let request_id = text(headers, REQUEST_ID.as_str())
        .filter(legal)
        .map_or_else(|| trace.trace_id().into(), Arc::from);
    Context { trace, request_id }
}
