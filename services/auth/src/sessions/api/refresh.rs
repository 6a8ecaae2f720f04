//! `POST /v1/auth/refresh`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service::StoreError;
use utoipa::ToSchema;

use super::tokens::Tokens;
use crate::sessions::domain::refresh_token::{
    GRACE_SECS, RefreshToken, Refusal, expires_at, judge,
};
use crate::sessions::store::{self, NewToken, RevokedReason};
use crate::state::AppState;

/// A token to exchange.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The latest token of the session.
    refresh_token: String,
}

pub enum RefreshError {
    Refused(Refusal),
    Other(Problem),
}

impl From<StoreError> for RefreshError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Problem> for RefreshError {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl IntoResponse for RefreshError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Refused(Refusal::JustUsed) => {
                let title = "The token was exchanged a moment ago: use the tokens of that answer";
                Problem::new(StatusCode::CONFLICT, "refresh_just_used", title)
            }
            // The same answer for both: a thief must not learn that the theft was detected.
            Self::Refused(Refusal::Invalid | Refusal::Reused) => {
                let title = "Invalid refresh token: log in again";
                Problem::new(StatusCode::UNAUTHORIZED, "invalid_refresh_token", title)
            }
            Self::Other(problem) => problem,
        };
        problem.into_response()
    }
}

/// Exchange a refresh token
///
/// Each token can be exchanged once. A second use within ten seconds is taken for a second browser tab and
/// answered with 409; a later one ends the session.
#[utoipa::path(
    post, path = "/v1/auth/refresh", operation_id = "refresh", tag = "sessions",
    request_body = Refresh,
    responses(
        (status = 200, description = "The next tokens of the session", body = Tokens),
        (status = 401, description = "Log in again", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "Exchanged a moment ago", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn handler(
    State(app): State<AppState>,
    Json(body): Json<Refresh>,
) -> Result<Tokens, RefreshError> {
    let presented = RefreshToken::presented(body.refresh_token).digest();
    let result = exchange(&app, &presented, app.core.now()).await;
    let outcome = match &result {
        Ok(_) => Some("ok"),
        Err(RefreshError::Refused(Refusal::Invalid)) => Some("invalid"),
        Err(RefreshError::Refused(Refusal::JustUsed)) => Some("just_used"),
        Err(RefreshError::Refused(Refusal::Reused)) => Some("reused"),
        Err(RefreshError::Other(_)) => None,
    };
    if let Some(outcome) = outcome {
        app.metrics.refreshes.with_label_values(&[outcome]).inc();
    }
    result
}

/// The claim and the successor are committed together: after a crash in between the old token still works.
async fn exchange(
    app: &AppState,
    presented: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Tokens, RefreshError> {
    let mut tx = app.core.begin().await?;
    let Some((session, principal)) = store::claim(&mut tx, presented, now).await? else {
        let found = store::find_token(&mut tx, presented).await?;
        let refusal = judge(found.map(|(_, facts)| facts), now);
        if let (Refusal::Reused, Some((session, _))) = (refusal, found) {
            store::revoke(&mut tx, session, RevokedReason::Reuse, now).await?;
            tracing::warn!(session = %session, grace_secs = GRACE_SECS, "refresh token reused: session ended");
        }
        app.core.commit(tx).await?;
        return Err(RefreshError::Refused(refusal));
    };
    let successor = RefreshToken::random();
    let token = NewToken {
        hash: successor.digest(),
        issued_at: now,
        expires_at: expires_at(now),
    };
    store::extend(&mut tx, session, &token).await?;
    let access_token = app
        .issuer
        .sign(&principal, now)
        .map_err(|error| Problem::internal(&error))?;
    app.core.commit(tx).await?;
    Ok(Tokens::new(access_token, &successor))
}
