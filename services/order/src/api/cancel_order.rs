//! `POST /v1/orders/{id}/cancel`: the owner does not want it any more. Asking again changes nothing.

use axum::extract::State;
use chassis::{Caller, Json, Path, Problem};
use outbox::Row;
use vocabulary::OrderId;

use super::get_order::owner;
use super::{OrderView, uncommitted};
use crate::domain::order::Change;
use crate::state::AppState;
use crate::store::orders;

#[utoipa::path(
    post,
    path = "/v1/orders/{id}/cancel",
    tag = "orders",
    operation_id = "cancel_order",
    params(("id" = OrderId, Path, description = "Id of the order")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The order, cancelled; money and stock go back", body = OrderView),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such order, or somebody else's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    let now = app.clock.now();
    let owner = owner(&caller);
    let mut tx = app.begin().await?;
    let order = orders::lock(&mut tx, id, owner).await?;
    let change = order.ok_or_else(Problem::not_found)?.cancel(now);
    if let Change::Moved(order, cancelled) = &change {
        let said = Row::of(app.meta(now), cancelled);
        let said = said.map_err(|error| Problem::internal(&error))?;
        orders::reach(&mut tx, order, (said, now)).await?;
    }
    let told = orders::find(&mut tx, id, owner).await?;
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    if matches!(change, Change::Moved(..)) {
        app.metrics.cancelled.with_label_values(&["owner"]).inc();
        tracing::info!(order = %id, "order cancelled");
    }
    told.map(|told| Json(told.into()))
        .ok_or_else(Problem::not_found)
}
