//! `GET /.well-known/jwks.json`

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use chassis::Json;

use crate::keys::domain::JwkSet;
use crate::state::AppState;

/// The keys that verify access tokens
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "get_jwks", tag = "sessions",
    responses((status = 200, description = "Public keys", body = JwkSet))
)]
pub async fn handler(State(app): State<AppState>) -> impl IntoResponse {
    let keys = app.issuer.keyring.public().clone();
    ([(CACHE_CONTROL, "public, max-age=300")], Json(keys))
}
