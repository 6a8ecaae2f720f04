//! `GET /internal/v1/users/{id}`: a profile, for other services.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use vocabulary::UserId;

use super::view::ProfileView;
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
