//! `POST /v1/auth/logout`

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Json, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::sessions::domain::refresh_token::RefreshToken;
use crate::sessions::store::{self, RevokedReason};
use crate::state::AppState;

/// The session to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogOut {
    /// Any token of the session.
    refresh_token: String,
}

/// Log out
///
/// Ends the session of the token. Its access tokens stay valid until they expire, an hour at most. An
/// unknown token gets the same answer.
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "log_out", tag = "sessions",
    request_body = LogOut,
    responses((status = 204, description = "The session has ended"))
)]
pub async fn handler(
    State(app): State<AppState>,
    Json(body): Json<LogOut>,
) -> Result<StatusCode, Problem> {
    let presented = RefreshToken::presented(body.refresh_token).digest();
    let mut conn = app.core.acquire().await?;
    let found = store::find_token(&mut conn, &presented).await?;
    if let Some((session, _)) = found {
        store::revoke(&mut conn, session, RevokedReason::Logout, app.core.now()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
