//! `GET /internal/v1/users/{id}`: a profile, for other services.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::users::User;
use vocabulary::UserId;

use crate::lookup;
use crate::state::AppState;

pub(super) async fn handler(
    State(app): State<AppState>,
    _caller: InternalCaller,
    Path(id): Path<UserId>,
) -> Result<Json<User>, Problem> {
    let profile = lookup::find(&app, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(Json(User {
        id: profile.id,
        username: profile.username,
        email: profile.email,
        first_name: profile.first_name,
        last_name: profile.last_name,
    }))
}
