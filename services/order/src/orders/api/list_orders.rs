//! `GET /v1/orders`: the caller's orders, newest first; an administrator may list everybody's.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Json, Problem, Query};
use serde::Deserialize;
use service::Caller;
use utoipa::IntoParams;
use uuid::Uuid;
use vocabulary::{CursorError, Limit, Page, PageRequest, Permission};

use super::view::OrderView;
use crate::orders::store;
use crate::state::AppState;

/// Which orders.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListOrders {
    /// Everybody's; for administrators.
    #[serde(default)]
    all: bool,
    /// Items on the page, 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the previous page.
    #[serde(default)]
    cursor: Option<String>,
}

#[utoipa::path(
    get,
    path = "/v1/orders",
    tag = "orders",
    operation_id = "list_orders",
    params(ListOrders),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of orders", body = Page<OrderView>),
        (status = 400, description = "The query is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Permission orders.read is required", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListOrders>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let owner = if query.all {
        caller.require(Permission::ReadAnyOrder)?;
        None
    } else {
        Some(caller.id())
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let before = page.position::<Uuid>().map_err(|e| bad_cursor(&e))?;
    let mut conn = app.core.acquire().await?;
    let rows = store::list(&mut conn, owner, before, page.rows()).await?;
    let page = Page::of(rows, &page, |last| last.order.id.as_uuid()).map_err(|e| bad_cursor(&e))?;
    Ok(Json(page.map(OrderView::from)))
}

fn bad_cursor(error: &CursorError) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid_query",
        "The query is not valid",
    )
    .field("cursor", error.to_string())
}
