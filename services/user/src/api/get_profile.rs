//! `GET /v1/users/{id}`

use axum::extract::State;
use axum::response::Response;
use chassis::{Path, Problem};
use service::Caller;
use vocabulary::{Permission, UserId};

use super::view::{ProfileView, show};
use crate::lookup;
use crate::state::AppState;

/// Read a profile
///
/// A caller reads its own profile; an administrator reads any. Profiles of others are answered with 404.
#[utoipa::path(
    get, path = "/v1/users/{id}", operation_id = "get_profile", tag = "profiles",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "Id of the account")),
    responses(
        (status = 200, description = "The profile", body = ProfileView,
         headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such profile, or not the caller's", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Not available: retry", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Response, Problem> {
    caller.require_owner_or(id, Permission::ReadAnyProfile)?;
    let profile = lookup::find(&app, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(show(profile))
}
