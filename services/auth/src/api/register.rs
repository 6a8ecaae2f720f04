//! `POST /v1/users/register`
//!
//! ## Why a taken address is told
//! Answering 409 tells that an address has an account. Hiding it needs a mail to the address, and
//! the users' contract has no such step. What is lost is kept small: the gateway limits how often
//! one client may ask, and login, where passwords are guessed, tells nothing.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use events::{EventMeta, UserRegistered};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vocabulary::{EventId, UserId};

use super::{internal, not_hashed};
use crate::SCHEMA;
use crate::domain::account::{CUSTOMER, FieldError, Registration};
use crate::hasher::HashError;
use crate::state::{AppState, commit};
use crate::store::StoreError;
use crate::store::accounts::{self, InsertError, NewAccount, Taken};

/// A request for an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    /// 3 to 32 of `A-Z a-z 0-9 _ . -`; unique, whatever its case.
    #[schema(example = "ann")]
    username: String,
    /// Unique, whatever its case.
    #[schema(example = "ann@example.com")]
    email: String,
    /// 10 to 128 characters.
    #[schema(format = "password")]
    password: String,
}

/// The new account.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    /// Id of the account and of the profile.
    id: UserId,
    /// As it was given.
    username: String,
    /// As it was given.
    email: String,
}

pub(super) enum RegisterError {
    Fields(Vec<FieldError>),
    Taken(Vec<Taken>),
    Hash(HashError),
    Other(Problem),
}

impl RegisterError {
    fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Fields(_) => Some("invalid"),
            Self::Taken(_) => Some("taken"),
            Self::Hash(HashError::Busy) => Some("busy"),
            Self::Hash(_) | Self::Other(_) => None,
        }
    }
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Other(internal(&error))
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

impl From<Problem> for RegisterError {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl IntoResponse for RegisterError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Fields(errors) => errors
                .into_iter()
                .fold(Problem::invalid(), |problem, error| {
                    problem.field(error.field, error.message)
                }),
            Self::Taken(taken) => {
                let title = "Somebody else has this name or address";
                let problem = Problem::new(StatusCode::CONFLICT, "taken", title);
                taken
                    .into_iter()
                    .fold(problem, |problem, taken| match taken {
                        Taken::Email => problem.field("email", "is taken"),
                        Taken::Username => problem.field("username", "is taken"),
                    })
            }
            Self::Hash(error) => not_hashed(&error),
            Self::Other(problem) => problem,
        };
        problem.into_response()
    }
}

/// Make an account
///
/// The profile `/v1/users/{id}` can be read as soon as this has answered.
#[utoipa::path(
    post, path = "/v1/users/register", operation_id = "register", tag = "accounts",
    request_body = Register,
    responses(
        (status = 201, description = "The account is there", body = Registered,
         headers(("Location" = String, description = "Its profile"))),
        (status = 409, description = "The name or the address is taken", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Fields are not valid", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Too busy: come again", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    Json(body): Json<Register>,
) -> Result<Response, RegisterError> {
    let result = register(&app, body).await;
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

async fn register(app: &AppState, body: Register) -> Result<Registered, RegisterError> {
    let wanted = Registration::check(&body.username, &body.email, body.password)
        .map_err(RegisterError::Fields)?;
    let (email_key, username_key) = (wanted.email.key(), wanted.username.key());
    let taken = {
        let mut conn = app.acquire().await?;
        accounts::find_taken(&mut conn, &email_key, &username_key).await?
    };
    if !taken.is_empty() {
        return Err(RegisterError::Taken(taken));
    }
    let turn = app.hasher.turn().await.map_err(RegisterError::Hash)?;
    let password_hash = turn
        .hash(wanted.password)
        .await
        .map_err(RegisterError::Hash)?;

    let now = app.clock.now();
    let id = UserId::mint(now, &*app.entropy);
    let said = UserRegistered {
        user_id: id,
        username: wanted.username.as_str().to_owned(),
        email: wanted.email.as_str().to_owned(),
    };
    let meta = EventMeta::new(EventId::mint(now, &*app.entropy), now);
    let meta = meta.traced(chassis::trace::current());
    let new = NewAccount {
        id,
        username: (&said.username, username_key),
        email: (&said.email, email_key),
        password_hash: &password_hash,
        roles: &[CUSTOMER.to_owned()],
        from_secret: false,
        created_at: now,
    };
    let mut tx = app.begin().await?;
    accounts::insert(&mut tx, &new).await?;
    outbox::append(&mut tx, SCHEMA, meta, &said)
        .await
        .map_err(|error| Problem::internal(&error))?;
    commit(tx).await?;
    Ok(Registered {
        id,
        username: said.username,
        email: said.email,
    })
}
