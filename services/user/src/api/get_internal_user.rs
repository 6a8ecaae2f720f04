//! `GET /internal/v1/users/{id}`: what our own services may know of a person.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use vocabulary::UserId;

use super::ProfileView;
use crate::lookup;
use crate::state::AppState;

pub(super) async fn handler(
    State(app): State<AppState>,
    _caller: InternalCaller,
    Path(id): Path<UserId>,
) -> Result<Json<ProfileView>, Problem> {
    let profile = lookup::find(&app, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(Json(profile.into()))
}
