//! `GET /internal/v1/accounts/{id}`: what our own services may know of an account.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use chrono::{DateTime, Utc};
use serde::Serialize;
use vocabulary::UserId;

use super::internal;
use crate::state::AppState;
use crate::store::accounts;

/// An account.
#[derive(Serialize)]
pub(super) struct AccountView {
    id: UserId,
    username: String,
    email: String,
    roles: Vec<String>,
    created_at: DateTime<Utc>,
}

pub(super) async fn handler(
    State(app): State<AppState>,
    _caller: InternalCaller,
    Path(id): Path<UserId>,
) -> Result<Json<AccountView>, Problem> {
    let mut conn = app.acquire().await?;
    let account = accounts::find(&mut conn, id)
        .await
        .map_err(|e| internal(&e))?;
    let account = account.ok_or_else(Problem::not_found)?;
    Ok(Json(AccountView {
        id: account.id,
        username: account.username,
        email: account.email,
        roles: account.roles,
        created_at: account.created_at,
    }))
}
