//! `POST /v1/users/confirm`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use serde::Deserialize;
use service::StoreError;
use utoipa::ToSchema;
use vocabulary::Role;

use super::{Registered, is_taken};
use crate::accounts::creation::{self, CreationError};
use crate::accounts::pending_store;
use crate::accounts::store::{InsertError, NewAccount, Taken};
use crate::opaque_token::OpaqueToken;
use crate::state::AppState;

/// The code that was sent to an address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// As in the mail.
    code: String,
}

pub enum ConfirmError {
    Unknown,
    Taken(Taken),
    Other(Problem),
}

impl From<StoreError> for ConfirmError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<CreationError> for ConfirmError {
    fn from(error: CreationError) -> Self {
        match error {
            CreationError::Insert(InsertError::Taken(taken)) => Self::Taken(taken),
            CreationError::Insert(InsertError::Store(error)) => error.into(),
            CreationError::Other(problem) => Self::Other(problem),
        }
    }
}

impl IntoResponse for ConfirmError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Unknown => {
                let title =
                    "The code is unknown, was used or has expired: log in, or register again";
                Problem::new(StatusCode::NOT_FOUND, "unknown_code", title)
            }
            Self::Taken(taken) => is_taken(vec![taken]),
            Self::Other(problem) => problem,
        };
        problem.into_response()
    }
}

/// Confirm an address
///
/// Creates the account whose code was sent to the address. A shop that does not ask for it sends no codes.
#[utoipa::path(
    post, path = "/v1/users/confirm", operation_id = "confirm", tag = "accounts",
    request_body = Confirm,
    responses(
        (status = 201, description = "The account was created", body = Registered,
         headers(("Location" = String, description = "Its profile"))),
        (status = 404, description = "The code is unknown, was used or has expired", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "The name or the address was taken meanwhile: register again", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn handler(
    State(app): State<AppState>,
    Json(body): Json<Confirm>,
) -> Result<Registered, ConfirmError> {
    let registered = confirm(&app, body.code).await?;
    app.metrics.registrations.with_label_values(&["ok"]).inc();
    Ok(registered)
}

async fn confirm(app: &AppState, code: String) -> Result<Registered, ConfirmError> {
    let hash = OpaqueToken::presented(code).digest();
    let now = app.core.now();
    let mut tx = app.core.begin().await?;
    let Some(pending) = pending_store::take(&mut tx, &hash, now).await? else {
        return Err(ConfirmError::Unknown);
    };
    let new = NewAccount {
        id: pending.id,
        username: (&pending.username.0, pending.username.1),
        email: (&pending.email.0, pending.email.1),
        password_hash: &pending.password_hash,
        roles: &[Role::Customer.as_str().to_owned()],
        from_secret: false,
        created_at: now,
    };
    creation::create(app, &mut tx, &new).await?;
    app.core.commit(tx).await?;
    Ok(Registered {
        id: pending.id,
        username: pending.username.0,
        email: pending.email.0,
    })
}
