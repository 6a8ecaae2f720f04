//! `GET /internal/v1/accounts/{id}`: an account, for other services.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::accounts::Account;
use vocabulary::UserId;

use crate::accounts::store;
use crate::state::AppState;

pub async fn handler(
    State(app): State<AppState>,
    _caller: InternalCaller,
    Path(id): Path<UserId>,
) -> Result<Json<Account>, Problem> {
    let mut conn = app.core.acquire().await?;
    let account = store::find(&mut conn, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(Json(Account {
        id: account.id,
        username: account.username,
        email: account.email,
        roles: account.roles,
        created_at: account.created_at,
    }))
}
