//! `POST /v1/users/register`
//!
//! ## When the answer reveals a taken address
//! 409 reveals that an address has an account, and whoever is told otherwise finds out by logging in. So it
//! is hidden only where an account needs more than an answer, namely a code from a mail to its address
//! (`confirmAddresses` of the Storefront): then both get the same answer, after the same work. Elsewhere few
//! registrations are answered to one client, and to its neighbourhood. A taken name is always revealed:
//! names are public.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use serde::{Deserialize, Serialize};
use service::StoreError;
use utoipa::ToSchema;
use vocabulary::{FieldError, Role, UserId};

use super::{Registered, is_taken};
use crate::accounts::creation::{self, CreationError};
use crate::accounts::domain::account::Registration;
use crate::accounts::hasher::HashError;
use crate::accounts::store::{self, InsertError, NewAccount, Taken};
use crate::state::AppState;
use crate::throttle::network::Network;
use crate::throttle::refusal::throttled;

/// A request for an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// 3 to 32 of `A-Z a-z 0-9 _ . -`; unique regardless of case.
    #[schema(example = "ann")]
    username: String,
    /// Unique regardless of case.
    #[schema(example = "ann@example.com")]
    email: String,
    /// 10 to 128 characters.
    #[schema(format = "password")]
    password: String,
}

/// A registration that waits until its address is confirmed.
#[derive(Serialize, ToSchema)]
pub struct Requested {
    /// Name, as requested.
    username: String,
    /// Address to which a mail was sent.
    email: String,
}

/// What a registration led to.
enum Outcome {
    Created(Registered),
    Requested(Requested),
}

pub enum RegisterError {
    Fields(Vec<FieldError>),
    Taken(Vec<Taken>),
    Throttled(Duration),
    Hash(HashError),
    Other(Problem),
}

impl RegisterError {
    fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Fields(_) => Some("invalid"),
            Self::Taken(_) => Some("taken"),
            Self::Throttled(_) => Some("throttled"),
            Self::Hash(HashError::Busy) => Some("busy"),
            Self::Hash(_) | Self::Other(_) => None,
        }
    }
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<CreationError> for RegisterError {
    fn from(error: CreationError) -> Self {
        match error {
            CreationError::Insert(InsertError::Taken(taken)) => Self::Taken(vec![taken]),
            CreationError::Insert(InsertError::Store(error)) => error.into(),
            CreationError::Other(problem) => Self::Other(problem),
        }
    }
}

impl From<Problem> for RegisterError {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<HashError> for RegisterError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl IntoResponse for RegisterError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Fields(errors) => service::invalid(errors),
            Self::Taken(taken) => is_taken(taken),
            Self::Throttled(wait) => {
                throttled("too_many_registrations", "Too many registrations", wait)
            }
            Self::Hash(error) => error.into(),
            Self::Other(problem) => problem,
        };
        problem.into_response()
    }
}

/// Create an account
///
/// After 201 the profile `/v1/users/{id}` exists. After 202 the account is created by `/v1/users/confirm`, with
/// the code in the mail that is sent to the address; an address that has an account is answered alike.
#[utoipa::path(
    post, path = "/v1/users/register", operation_id = "register", tag = "accounts",
    request_body = Register,
    responses(
        (status = 201, description = "The account was created", body = Registered,
         headers(("Location" = String, description = "Its profile"))),
        (status = 202, description = "A mail was sent to the address", body = Requested),
        (status = 409, description = "The name or the address is taken", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Fields are not valid", body = Problem,
         content_type = "application/problem+json"),
        (status = 429, description = "Too many registrations of this client or network: wait", body = Problem,
         content_type = "application/problem+json",
         headers(("Retry-After" = u32, description = "Seconds to wait"))),
        (status = 503, description = "Too busy: retry", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn handler(
    State(app): State<AppState>,
    network: Network,
    Json(body): Json<Register>,
) -> Result<Response, RegisterError> {
    let result = register(&app, &network, body).await;
    let outcome = match &result {
        Ok(Outcome::Created(_)) => Some("ok"),
        Ok(Outcome::Requested(_)) => Some("requested"),
        Err(error) => error.outcome(),
    };
    if let Some(outcome) = outcome {
        app.metrics
            .registrations
            .with_label_values(&[outcome])
            .inc();
    }
    Ok(match result? {
        Outcome::Created(registered) => registered.into_response(),
        Outcome::Requested(requested) => (StatusCode::ACCEPTED, Json(requested)).into_response(),
    })
}

/// Counts an attempt, whether its address turns out to be taken or not.
async fn admit(app: &AppState, network: &Network) -> Result<(), RegisterError> {
    let mut conn = app.core.acquire().await?;
    let wait = app
        .registrations
        .admit(&mut conn, network, app.core.now())
        .await?;
    if wait.is_zero() {
        Ok(())
    } else {
        Err(RegisterError::Throttled(wait))
    }
}

async fn register(
    app: &AppState,
    network: &Network,
    body: Register,
) -> Result<Outcome, RegisterError> {
    let wanted = Registration::check(&body.username, &body.email, body.password)
        .map_err(RegisterError::Fields)?;
    admit(app, network).await?;
    let (email_key, username_key) = (wanted.email.key(), wanted.username.key());
    let mut taken = {
        let mut conn = app.core.acquire().await?;
        store::find_taken(&mut conn, &email_key, &username_key).await?
    };
    let confirms = app.registrations.confirms;
    let has_account = taken.contains(&Taken::Email);
    taken.retain(|taken| !confirms || *taken != Taken::Email);
    if !taken.is_empty() {
        return Err(RegisterError::Taken(taken));
    }
    let password_hash = app.hasher.slot().await?.hash(wanted.password).await?;

    let now = app.core.now();
    let (username, email) = (wanted.username.as_str(), wanted.email.as_str());
    let new = NewAccount {
        id: UserId::mint(now, &*app.core.entropy),
        username: (username, username_key),
        email: (email, email_key),
        password_hash: &password_hash,
        roles: &[Role::Customer.as_str().to_owned()],
        from_secret: false,
        created_at: now,
    };
    let (username, email) = (username.to_owned(), email.to_owned());
    if confirms {
        creation::request(app, &new, has_account).await?;
        return Ok(Outcome::Requested(Requested { username, email }));
    }
    let mut tx = app.core.begin().await?;
    creation::create(app, &mut tx, &new).await?;
    app.core.commit(tx).await?;
    Ok(Outcome::Created(Registered {
        id: new.id,
        username,
        email,
    }))
}
