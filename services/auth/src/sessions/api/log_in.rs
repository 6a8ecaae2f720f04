//! `POST /v1/users/login`
//!
//! ## Why all refusals are the same
//! An unknown address and a wrong password get the same answer after the same time, throttled or not: for
//! an unknown address the password is compared with a hash that nothing matches.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use serde::Deserialize;
use service::StoreError;
use utoipa::ToSchema;
use vocabulary::{SessionId, UserId};

use super::tokens::Tokens;
use crate::accounts::domain::account::{Email, Password, Principal, email_key};
use crate::accounts::hasher::HashError;
use crate::accounts::store::{self as accounts, Credentials};
use crate::sessions::domain::refresh_token::{RefreshToken, expires_at};
use crate::sessions::failed_logins::Attempt;
use crate::sessions::store::{self as sessions, NewToken};
use crate::state::AppState;
use crate::throttle::network::Network;
use crate::throttle::refusal::throttled;

/// Credentials.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// E-mail address of the account.
    #[schema(example = "ann@example.com")]
    email: String,
    /// Password of the account.
    #[schema(format = "password")]
    password: String,
    /// A refresh token of an earlier login on this device, also one that has been used or has expired: failed
    /// logins of others then do not make this one wait.
    #[serde(default)]
    refresh_token: Option<String>,
}

pub enum LogInError {
    Refused,
    Throttled(Duration),
    Hash(HashError),
    Other(Problem),
}

impl LogInError {
    fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Refused => Some("refused"),
            Self::Throttled(_) => Some("throttled"),
            Self::Hash(HashError::Busy) => Some("busy"),
            Self::Hash(_) | Self::Other(_) => None,
        }
    }
}

impl From<StoreError> for LogInError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<HashError> for LogInError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl From<Problem> for LogInError {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl IntoResponse for LogInError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Refused => {
                let title = "Wrong e-mail address or password";
                Problem::new(StatusCode::UNAUTHORIZED, "invalid_credentials", title)
            }
            Self::Throttled(wait) => throttled("too_many_failures", "Too many failed logins", wait),
            Self::Hash(error) => error.into(),
            Self::Other(problem) => problem,
        };
        problem.into_response()
    }
}

/// Log in
#[utoipa::path(
    post, path = "/v1/users/login", operation_id = "log_in", tag = "accounts",
    request_body = LogIn,
    responses(
        (status = 200, description = "Tokens of a new session", body = Tokens),
        (status = 401, description = "Wrong e-mail address or password", body = Problem,
         content_type = "application/problem+json"),
        (status = 429, description = "Too many failed logins: wait", body = Problem,
         content_type = "application/problem+json",
         headers(("Retry-After" = u32, description = "Seconds to wait"))),
        (status = 503, description = "Too busy: retry", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn handler(
    State(app): State<AppState>,
    network: Network,
    Json(body): Json<LogIn>,
) -> Result<Tokens, LogInError> {
    let result = log_in(&app, network.client, &body).await;
    let outcome = match &result {
        Ok(_) => Some("ok"),
        Err(error) => error.outcome(),
    };
    if let Some(outcome) = outcome {
        app.metrics.logins.with_label_values(&[outcome]).inc();
    }
    result
}

async fn log_in(app: &AppState, client: String, body: &LogIn) -> Result<Tokens, LogInError> {
    let known = find_credentials(app, &body.email).await?;
    let device = find_device(app, body.refresh_token.as_deref()).await?;
    let device = device.filter(|(_, owner)| {
        known
            .as_ref()
            .is_some_and(|known| known.principal.user_id == *owner)
    });
    let device = device.map(|(session, _)| session);
    let attempt = Attempt::new(&email_key(&body.email), client, device);
    // The counters are read while holding a slot: at most as many guesses as there are slots can pass a
    // counter that is about to grow.
    let slot = app.hasher.slot().await?;
    let wait = {
        let mut conn = app.core.acquire().await?;
        app.failed_logins
            .wait(&mut conn, &attempt, app.core.now())
            .await?
    };
    if !wait.is_zero() {
        return Err(LogInError::Throttled(wait));
    }
    let stored = match &known {
        Some(known) => known.password_hash.clone(),
        None => app.hasher.dummy(),
    };
    let compared = slot
        .compare(Password::attempt(&body.password), stored)
        .await?;
    let mut conn = app.core.acquire().await?;
    let Some(known) = known.filter(|_| compared.matches) else {
        app.failed_logins
            .count(&mut conn, &attempt, app.core.now())
            .await?;
        return Err(LogInError::Refused);
    };
    app.failed_logins
        .reset(&mut conn, &attempt, app.core.now())
        .await?;
    drop(conn);
    open_session(
        app,
        &known.principal,
        compared.upgraded.map(|to| (known.password_hash, to)),
    )
    .await
}

async fn find_credentials(app: &AppState, email: &str) -> Result<Option<Credentials>, LogInError> {
    // An invalid address has no account, and may hold bytes that a table cannot.
    let Ok(email) = Email::new(email) else {
        return Ok(None);
    };
    let mut conn = app.core.acquire().await?;
    Ok(accounts::find_credentials(&mut conn, &email.key()).await?)
}

/// The session and the owner of a token that a device holds.
async fn find_device(
    app: &AppState,
    token: Option<&str>,
) -> Result<Option<(SessionId, UserId)>, LogInError> {
    let Some(token) = token else {
        return Ok(None);
    };
    let hash = RefreshToken::presented(token.to_owned()).digest();
    let mut conn = app.core.acquire().await?;
    Ok(sessions::find_device(&mut conn, &hash).await?)
}

async fn open_session(
    app: &AppState,
    principal: &Principal,
    upgrade: Option<(String, String)>,
) -> Result<Tokens, LogInError> {
    let now = app.core.now();
    let refresh_token = RefreshToken::random();
    let access_token = app
        .issuer
        .sign(principal, now)
        .map_err(|error| Problem::internal(&error))?;
    let token = NewToken {
        hash: refresh_token.digest(),
        issued_at: now,
        expires_at: expires_at(now),
    };
    let mut conn = app.core.acquire().await?;
    if let Some((from, to)) = upgrade {
        accounts::upgrade_hash(&mut conn, principal.user_id, &from, &to).await?;
    }
    let id = SessionId::mint(now, &*app.core.entropy);
    sessions::open(&mut conn, id, principal.user_id, &token).await?;
    Ok(Tokens::new(access_token, &refresh_token))
}
