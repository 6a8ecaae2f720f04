//! The admin socket: /healthz, /readyz, /metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::health::Health;
use crate::metrics::Metrics;

/// What the routes answer from.
#[derive(Clone)]
pub struct Admin {
    /// Judges health.
    pub health: Arc<Health>,
    /// Holds the series.
    pub metrics: Metrics,
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn healthz(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.health.live() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let waiting = admin.health.waiting_for();
    let status = if waiting.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({ "ready": waiting.is_empty(), "waitingFor": waiting })),
    )
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    admin.health.refresh();
    match admin.metrics.registry.render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
