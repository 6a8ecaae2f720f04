//! /healthz, /readyz and /metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::worker::Shared;

/// The admin routes.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
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

/// As of every process of ours. A key set that cannot be fetched makes no gateway unready: routes without its policy
/// are served.
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let why = shared.not_ready();
    let status = match why {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let failing: BTreeMap<&str, &str> = why.into_iter().map(|why| ("gateway", why)).collect();
    let answer = serde_json::json!({
        "ready": why.is_none(), "failing": failing, "degraded": shared.unusable_key_sets(),
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
