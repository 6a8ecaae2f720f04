//! `POST /v1/orders/{id}/cancel`: the owner does not want it any more. A repeated request changes nothing.

use axum::extract::State;
use chassis::{Json, Path, Problem};
use outbox::Row;
use service::{Caller, StoreError};
use sqlx::PgConnection;
use vocabulary::{OrderId, Permission, UserId};

use super::view::OrderView;
use crate::checkout::cancel;
use crate::orders::domain::Change;
use crate::orders::store;
use crate::state::AppState;

#[utoipa::path(
    post,
    path = "/v1/orders/{id}/cancel",
    tag = "orders",
    operation_id = "cancel_order",
    params(("id" = OrderId, Path, description = "Id of the order")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The order, cancelled; the payment and the stock are returned", body = OrderView),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such order, or another customer's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    let owner = caller.owner_unless(Permission::CancelAnyOrder);
    let mut tx = app.core.begin().await?;
    let turned_back = cancel::awaiting(&app, &mut tx, id, owner).await?;
    let cancelled = turned_back.is_none() && cancel_placed(&app, &mut tx, id, owner).await?;
    let record = store::find(&mut tx, id, owner).await?;
    app.core.commit(tx).await?;
    if let Some(turned_back) = turned_back {
        turned_back.published(&app);
    }
    if cancelled {
        app.metrics.cancelled.with_label_values(&["owner"]).inc();
        tracing::info!(order = %id, "order cancelled");
    }
    record
        .map(|record| Json(record.into()))
        .ok_or_else(Problem::not_found)
}

/// True if it was cancelled now, false if it had been before.
async fn cancel_placed(
    app: &AppState,
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<bool, Problem> {
    let now = app.core.now();
    let order = store::lock(conn, id, owner).await?;
    let Change::Moved(order, event) = order.ok_or_else(Problem::not_found)?.cancel(now) else {
        return Ok(false);
    };
    let event = Row::of(app.core.event_meta(now), &event).map_err(StoreError::from)?;
    store::advance(conn, &order, event, now).await?;
    Ok(true)
}
