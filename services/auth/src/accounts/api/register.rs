//! `POST /v1/users/register`
//!
//! ## Why the answer reveals a taken address
//! 409 reveals that an address has an account. Hiding it needs a mail to the address, and the API has no
//! such step: whoever is told that an account was made finds out by logging in. So few registrations are
//! answered to one client, and to its neighbourhood; login, where passwords are guessed, reveals nothing.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use events::UserRegistered;
use serde::{Deserialize, Serialize};
use service::StoreError;
use utoipa::ToSchema;
use vocabulary::{FieldError, Role, UserId};

use crate::accounts::domain::account::Registration;
use crate::accounts::hasher::HashError;
use crate::accounts::store::{self, InsertError, NewAccount, Taken};
use crate::spec::SCHEMA;
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

/// The new account.
#[derive(Serialize, ToSchema)]
pub struct Registered {
    /// Id of the account and of its profile.
    id: UserId,
    /// Name, as requested.
    username: String,
    /// E-mail address, as requested.
    email: String,
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

impl From<InsertError> for RegisterError {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::Taken(taken) => Self::Taken(vec![taken]),
            InsertError::Store(error) => error.into(),
        }
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

fn is_taken(taken: Vec<Taken>) -> Problem {
    let title = "Username or e-mail address is taken";
    let problem = Problem::new(StatusCode::CONFLICT, "taken", title);
    taken
        .into_iter()
        .fold(problem, |problem, taken| match taken {
            Taken::Email => problem.field("email", "is taken"),
            Taken::Username => problem.field("username", "is taken"),
        })
}

/// Create an account
///
/// The profile `/v1/users/{id}` exists as soon as this has answered.
#[utoipa::path(
    post, path = "/v1/users/register", operation_id = "register", tag = "accounts",
    request_body = Register,
    responses(
        (status = 201, description = "The account was created", body = Registered,
         headers(("Location" = String, description = "Its profile"))),
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
        Ok(_) => Some("ok"),
        Err(error) => error.outcome(),
    };
    if let Some(outcome) = outcome {
        app.metrics
            .registrations
            .with_label_values(&[outcome])
            .inc();
    }
    let registered = result?;
    let location = format!("/v1/users/{}", registered.id.as_uuid());
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(registered),
    )
        .into_response())
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
) -> Result<Registered, RegisterError> {
    let wanted = Registration::check(&body.username, &body.email, body.password)
        .map_err(RegisterError::Fields)?;
    admit(app, network).await?;
    let (email_key, username_key) = (wanted.email.key(), wanted.username.key());
    let taken = {
        let mut conn = app.core.acquire().await?;
        store::find_taken(&mut conn, &email_key, &username_key).await?
    };
    if !taken.is_empty() {
        return Err(RegisterError::Taken(taken));
    }
    let password_hash = app.hasher.slot().await?.hash(wanted.password).await?;

    let now = app.core.now();
    let event = UserRegistered {
        user_id: UserId::mint(now, &*app.core.entropy),
        username: wanted.username.as_str().to_owned(),
        email: wanted.email.as_str().to_owned(),
    };
    let new = NewAccount {
        id: event.user_id,
        username: (&event.username, username_key),
        email: (&event.email, email_key),
        password_hash: &password_hash,
        roles: &[Role::Customer.as_str().to_owned()],
        from_secret: false,
        created_at: now,
    };
    let mut tx = app.core.begin().await?;
    store::insert(&mut tx, &new).await?;
    outbox::append(&mut tx, SCHEMA, app.core.event_meta(now), &event)
        .await
        .map_err(|error| RegisterError::Other(Problem::internal(&error)))?;
    app.core.commit(tx).await?;
    Ok(Registered {
        id: event.user_id,
        username: event.username,
        email: event.email,
    })
}
