//! `PUT /v1/users/{id}`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use chassis::{Json, Path, Problem, precondition};
use serde::Deserialize;
use service::Caller;
use utoipa::ToSchema;
use vocabulary::{Permission, UserId};

use super::view::{ProfileView, show};
use crate::domain::profile::Edit;
use crate::lookup;
use crate::state::AppState;
use crate::store::profiles;

/// The fields to change. Absent and null fields stay as they are; the answer of `GET` can be sent back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateProfile {
    /// At most 100 characters; an empty string clears it.
    #[schema(example = "Ann")]
    first_name: Option<String>,
    /// At most 100 characters; an empty string clears it.
    #[schema(example = "Lee")]
    last_name: Option<String>,
    /// Must equal the stored value.
    id: Option<UserId>,
    /// Must equal the stored value: it belongs to the account.
    username: Option<String>,
    /// Must equal the stored value: it belongs to the account.
    email: Option<String>,
}

impl From<UpdateProfile> for Edit {
    fn from(body: UpdateProfile) -> Self {
        Self {
            first_name: body.first_name,
            last_name: body.last_name,
            id: body.id,
            username: body.username,
            email: body.email,
        }
    }
}

/// Change a profile
///
/// With `If-Match`, only if it has not changed since it was read.
#[utoipa::path(
    put, path = "/v1/users/{id}", operation_id = "update_profile", tag = "profiles",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "Id of the account"),
        ("If-Match" = Option<String>, Header, description = "ETag of the profile that was read"),
    ),
    request_body = UpdateProfile,
    responses(
        (status = 200, description = "The changed profile", body = ProfileView,
         headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such profile, or not the caller's", body = Problem,
         content_type = "application/problem+json"),
        (status = 412, description = "Changed since it was read", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Fields are not valid", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Not available: retry", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<UserId>,
    headers: HeaderMap,
    Json(body): Json<UpdateProfile>,
) -> Result<Response, Problem> {
    caller.require_owner_or(id, Permission::EditAnyProfile)?;
    // Before the transaction, because a missing profile is requested from auth.
    lookup::find(&app, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let mut tx = app.core.begin().await?;
    let profile = profiles::lock(&mut tx, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    precondition::check(&headers, profile.version)?;
    let edited = profile.edit(body.into()).map_err(service::invalid)?;
    profiles::update(&mut tx, &edited, app.core.now()).await?;
    app.core.commit(tx).await?;
    app.metrics.edited.inc();
    Ok(show(edited))
}
