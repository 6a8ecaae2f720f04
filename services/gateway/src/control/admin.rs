//! /healthz, /readyz and /metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chassis::readiness;

use crate::worker::Shared;

/// The admin routes of a process that began at this time.
pub fn router(shared: Arc<Shared>, began: Instant) -> Router {
    let ready = move |State(shared): State<Arc<Shared>>| async move { readyz(&shared, began) };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

/// That this runtime runs is proved by the response; the workers report on themselves.
async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    if shared.is_alive() {
        "ok\n".into_response()
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "a worker is stuck\n").into_response()
    }
}

/// As of every process of ours. A key set that cannot be fetched or a certificate that cannot be used makes no gateway
/// unready: routes without its policy, and other listeners, are served.
fn readyz(shared: &Shared, began: Instant) -> Response {
    let (why, degraded) = (shared.not_ready(), shared.degraded());
    let status = readiness(why.is_none(), !degraded.is_empty(), began.elapsed());
    let failing: BTreeMap<&str, &str> = why.into_iter().map(|why| ("gateway", why)).collect();
    let answer = serde_json::json!({
        "ready": why.is_none(), "failing": failing, "degraded": degraded,
    });
    (status, axum::Json(answer)).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match shared.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "failed to render metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
