//! `POST /v1/auth/refresh`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::internal;
use super::tokens::Tokens;
use crate::domain::refresh::{GRACE_SECS, RefreshToken, Refusal, expires_at, judge};
use crate::state::{AppState, commit};
use crate::store::StoreError;
use crate::store::sessions::{self, NewToken, RevokedReason};

/// A token to exchange.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// The last one that was given.
    refresh_token: String,
}

pub(super) enum RefreshError {
    Refused(Refusal),
    Other(Problem),
}

impl From<StoreError> for RefreshError {
    fn from(error: StoreError) -> Self {
        Self::Other(internal(&error))
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
                let title = "This token was exchanged a moment ago: use what that answer brought";
                Problem::new(StatusCode::CONFLICT, "refresh_just_used", title)
            }
            // A thief need not learn that the theft was noticed.
            Self::Refused(Refusal::Invalid | Refusal::Reused) => {
                let title = "The token is not valid: log in again";
                Problem::new(StatusCode::UNAUTHORIZED, "invalid_refresh_token", title)
            }
            Self::Other(problem) => problem,
        };
        problem.into_response()
    }
}

/// Exchange a refresh token
///
/// Each token works once. A second use within ten seconds is taken for a second tab and answered
/// with 409; a later one ends the session.
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
pub(super) async fn handler(
    State(app): State<AppState>,
    Json(body): Json<Refresh>,
) -> Result<Tokens, RefreshError> {
    let presented = RefreshToken::presented(body.refresh_token).digest();
    let result = exchange(&app, &presented, app.clock.now()).await;
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

/// Claim and successor commit together: killed in between, the old token still works.
async fn exchange(
    app: &AppState,
    presented: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Tokens, RefreshError> {
    let mut tx = app.begin().await?;
    let Some((session, who)) = sessions::claim(&mut tx, presented, now).await? else {
        let found = sessions::find_token(&mut tx, presented).await?;
        let refusal = judge(found.map(|(_, facts)| facts), now);
        if let (Refusal::Reused, Some((session, _))) = (refusal, found) {
            sessions::revoke(&mut tx, session, RevokedReason::Reuse, now).await?;
            tracing::warn!(session = %session, grace_secs = GRACE_SECS, "a used refresh token came back: session ended");
        }
        commit(tx).await?;
        return Err(RefreshError::Refused(refusal));
    };
    let successor = RefreshToken::random();
    let token = NewToken {
        hash: successor.digest(),
        issued_at: now,
        expires_at: expires_at(now),
    };
    sessions::extend(&mut tx, session, &token).await?;
    let access_token = app
        .issuer
        .sign(&who, now)
        .map_err(|error| Problem::internal(&error))?;
    commit(tx).await?;
    Ok(Tokens::new(access_token, &successor))
}
