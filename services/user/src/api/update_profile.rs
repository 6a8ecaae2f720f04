//! `PUT /v1/users/{id}`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use chassis::{Caller, Json, Path, Problem, precondition};
use serde::Deserialize;
use utoipa::ToSchema;
use vocabulary::UserId;

use super::{ProfileView, owner, show};
use crate::domain::profile::Edit;
use crate::lookup;
use crate::state::AppState;
use crate::store::profiles;

/// What to change. What is absent or null stays as it is; what `GET` answered can be sent back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateProfile {
    /// At most 100 characters; empty takes it back.
    #[schema(example = "Ann")]
    first_name: Option<String>,
    /// At most 100 characters; empty takes it back.
    #[schema(example = "Lee")]
    last_name: Option<String>,
    /// Must be the one it is.
    id: Option<UserId>,
    /// Must be the one it is: it belongs to the account.
    username: Option<String>,
    /// Must be the one it is: it belongs to the account.
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
/// With `If-Match`, only if nobody has changed it since it was read.
#[utoipa::path(
    put, path = "/v1/users/{id}", operation_id = "update_profile", tag = "profiles",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "Id of the account"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what was read"),
    ),
    request_body = UpdateProfile,
    responses(
        (status = 200, description = "The profile as it is now", body = ProfileView,
         headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such profile, or somebody else's", body = Problem,
         content_type = "application/problem+json"),
        (status = 412, description = "Changed since it was read", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Fields are not valid", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Not available: come again", body = Problem,
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
    owner::check(&caller, id)?;
    // Makes sure that the row is there, before the transaction: auth may have to be asked.
    lookup::find(&app, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let mut tx = app.begin().await?;
    let profile = profiles::lock(&mut tx, id)
        .await
        .map_err(|e| Problem::internal(&e))?;
    let profile = profile.ok_or_else(Problem::not_found)?;
    precondition::check(&headers, profile.version)?;
    let edited = profile.edit(body.into()).map_err(|errors| {
        errors
            .into_iter()
            .fold(Problem::invalid(), |problem, error| {
                problem.field(error.field, error.message)
            })
    })?;
    profiles::update(&mut tx, &edited, app.clock.now())
        .await
        .map_err(|e| Problem::internal(&e))?;
    tx.commit().await.map_err(|e| Problem::internal(&e))?;
    app.metrics.edited.inc();
    Ok(show(edited))
}
