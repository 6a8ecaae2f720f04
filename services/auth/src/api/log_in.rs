//! `POST /v1/users/login`
//!
//! ## Why all refusals are one
//! An unknown address, a wrong password and a throttled guess at either answer alike and take alike
//! long: an unknown address is compared with a hash that nothing matches.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use vocabulary::SessionId;

use super::network::Network;
use super::tokens::Tokens;
use super::{internal, not_hashed};
use crate::domain::account::{Email, Password, Principal, email_key};
use crate::domain::password;
use crate::domain::refresh::{RefreshToken, expires_at};
use crate::hasher::HashError;
use crate::state::AppState;
use crate::store::accounts::Credentials;
use crate::store::sessions::NewToken;
use crate::store::{StoreError, accounts, sessions};
use crate::tallies::Subject;

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    /// Address of the account.
    #[schema(example = "ann@example.com")]
    email: String,
    /// Its password.
    #[schema(format = "password")]
    password: String,
}

pub(super) enum LogInError {
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
        Self::Other(internal(&error))
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
                let title = "The address or the password is wrong";
                Problem::new(StatusCode::UNAUTHORIZED, "invalid_credentials", title)
            }
            Self::Throttled(wait) => {
                let title = "Too many failed logins";
                // Rounded up: who comes a moment early would have to wait again.
                let secs = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", title)
                    .retry_after(secs)
            }
            Self::Hash(error) => not_hashed(&error),
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
        (status = 401, description = "The address or the password is wrong", body = Problem,
         content_type = "application/problem+json"),
        (status = 429, description = "Too many failed logins: wait", body = Problem,
         content_type = "application/problem+json",
         headers(("Retry-After" = u32, description = "Seconds to wait"))),
        (status = 503, description = "Too busy: come again", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    Network(network): Network,
    Json(body): Json<LogIn>,
) -> Result<Tokens, LogInError> {
    let result = log_in(&app, network, &body).await;
    let outcome = match &result {
        Ok(_) => Some("ok"),
        Err(error) => error.outcome(),
    };
    if let Some(outcome) = outcome {
        app.metrics.logins.with_label_values(&[outcome]).inc();
    }
    result
}

async fn log_in(app: &AppState, network: String, body: &LogIn) -> Result<Tokens, LogInError> {
    let subject = Subject::new(&email_key(&body.email), network);
    let known = find_credentials(app, &body.email).await?;
    // The tallies are asked with the turn in hand: at most as many guesses as there are turns can
    // slip past a tally that is about to grow.
    let turn = app.hasher.turn().await?;
    let wait = app.tallies.read(&subject).await.wait(app.clock.now());
    if !wait.is_zero() {
        return Err(LogInError::Throttled(wait));
    }
    let stored = match &known {
        Some(known) => known.password_hash.clone(),
        None => password::dummy().to_owned(),
    };
    let compared = turn
        .compare(Password::attempt(&body.password), stored)
        .await?;
    let Some(known) = known.filter(|_| compared.matches) else {
        app.tallies.count_failure(&subject, app.clock.now()).await;
        return Err(LogInError::Refused);
    };
    app.tallies.welcome(&subject).await;
    open_session(
        app,
        &known.principal,
        compared.upgraded.map(|to| (known.password_hash, to)),
    )
    .await
}

async fn find_credentials(app: &AppState, email: &str) -> Result<Option<Credentials>, LogInError> {
    // What is no address has no account; it may also hold bytes that no table can.
    let Ok(email) = Email::new(email) else {
        return Ok(None);
    };
    let mut conn = app.acquire().await?;
    Ok(accounts::find_credentials(&mut conn, &email.key()).await?)
}

async fn open_session(
    app: &AppState,
    who: &Principal,
    upgrade: Option<(String, String)>,
) -> Result<Tokens, LogInError> {
    let now = app.clock.now();
    let refresh_token = RefreshToken::random();
    let access_token = app
        .issuer
        .sign(who, now)
        .map_err(|error| Problem::internal(&error))?;
    let token = NewToken {
        hash: refresh_token.digest(),
        issued_at: now,
        expires_at: expires_at(now),
    };
    let mut conn = app.acquire().await?;
    if let Some((from, to)) = upgrade {
        accounts::upgrade_hash(&mut conn, who.user_id, &from, &to).await?;
    }
    let id = SessionId::mint(now, &*app.entropy);
    sessions::open(&mut conn, id, who.user_id, &token).await?;
    Ok(Tokens::new(access_token, &refresh_token))
}
