//! `GET /v1/orders/{id}`: one order, for its owner and for administrators.

use axum::extract::State;
use chassis::{Caller, Json, Path, Problem};
use vocabulary::{OrderId, UserId};

use super::OrderView;
use crate::state::AppState;
use crate::store::orders;

/// Whose orders the caller may see: an administrator everybody's.
pub(super) fn owner(caller: &Caller) -> Option<UserId> {
    (!caller.has_role("admin")).then(|| UserId::from_uuid(caller.id()))
}

#[utoipa::path(
    get,
    path = "/v1/orders/{id}",
    tag = "orders",
    operation_id = "get_order",
    params(("id" = OrderId, Path, description = "Id of the order")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The order", body = OrderView),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such order, or somebody else's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    let mut conn = app.acquire().await?;
    let told = orders::find(&mut conn, id, owner(&caller)).await?;
    told.map(|told| Json(told.into()))
        .ok_or_else(Problem::not_found)
}
