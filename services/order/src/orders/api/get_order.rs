//! `GET /v1/orders/{id}`: one order, for its owner and for administrators.

use axum::extract::State;
use chassis::{Json, Path, Problem};
use service::Caller;
use vocabulary::{OrderId, Permission};

use super::view::OrderView;
use crate::orders::store;
use crate::state::AppState;

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
        (status = 404, description = "No such order, or another customer's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    let owner = caller.owner_unless(Permission::ReadAnyOrder);
    let mut conn = app.core.acquire().await?;
    let record = store::find(&mut conn, id, owner).await?;
    record
        .map(|record| Json(record.into()))
        .ok_or_else(Problem::not_found)
}
