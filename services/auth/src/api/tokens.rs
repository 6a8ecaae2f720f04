//! What a client is given when it has shown who it is.

use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use chassis::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::refresh::RefreshToken;
use crate::domain::signing::ACCESS_TOKEN_SECS;

/// Tokens of one session. No `Debug`.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// Shows who is asking: `Authorization: Bearer ...`.
    access_token: String,
    /// How to send it.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token is good for, in seconds.
    #[schema(example = 3600)]
    expires_in: i64,
    /// Gets the next pair, once, within 30 days.
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
