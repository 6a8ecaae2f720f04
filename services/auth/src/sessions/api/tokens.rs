//! The answer of login and refresh.

use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use chassis::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::keys::domain::ACCESS_TOKEN_SECS;
use crate::sessions::domain::refresh_token::RefreshToken;

/// Tokens of one session. No `Debug`.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// Authenticates requests: `Authorization: Bearer ...`.
    access_token: String,
    /// Authentication scheme.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Life of the access token in seconds.
    #[schema(example = 3600)]
    expires_in: i64,
    /// Can be exchanged for the next pair, once, within 30 days.
    refresh_token: String,
}

impl Tokens {
    pub(super) fn new(access_token: String, refresh_token: &RefreshToken) -> Self {
        Self {
            access_token,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_SECS,
            refresh_token: refresh_token.as_str().to_owned(),
        }
    }
}

impl IntoResponse for Tokens {
    fn into_response(self) -> Response {
        ([(CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}
