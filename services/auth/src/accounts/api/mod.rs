//! Endpoints of accounts.

pub mod confirm;
pub mod get_account;
pub mod register;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use vocabulary::UserId;

use super::hasher::HashError;
use super::store::Taken;

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

impl IntoResponse for Registered {
    fn into_response(self) -> Response {
        let location = format!("/v1/users/{}", self.id.as_uuid());
        let headers = [(header::LOCATION, location)];
        (StatusCode::CREATED, headers, Json(self)).into_response()
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

/// 503 while too many hashes wait, so that clients retry; 500 for other failures.
impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::unavailable(2).detail("Too many passwords are being checked"),
            HashError::Password(_) | HashError::Panicked => Self::internal(&error),
        }
    }
}
