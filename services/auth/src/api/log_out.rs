//! `POST /v1/auth/logout`

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Json, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::internal;
use crate::domain::refresh::RefreshToken;
use crate::state::AppState;
use crate::store::sessions::{self, RevokedReason};

/// The session to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogOut {
    /// Any token of the session.
    refresh_token: String,
}

/// Log out
///
/// Ends the session that the token belongs to. Access tokens of it stay good until they expire, an
/// hour at most. A token that is not known is answered alike.
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "log_out", tag = "sessions",
    request_body = LogOut,
    responses((status = 204, description = "The session has ended"))
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    Json(body): Json<LogOut>,
) -> Result<StatusCode, Problem> {
    let presented = RefreshToken::presented(body.refresh_token).digest();
    let mut conn = app.acquire().await?;
    let found = sessions::find_token(&mut conn, &presented)
        .await
        .map_err(|e| internal(&e))?;
    if let Some((session, _)) = found {
        sessions::revoke(&mut conn, session, RevokedReason::Logout, app.clock.now())
            .await
            .map_err(|e| internal(&e))?;
    }
    Ok(StatusCode::NO_CONTENT)
}
