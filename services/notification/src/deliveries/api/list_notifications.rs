//! `GET /v1/notifications`

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Json, Problem, Query};
use serde::Deserialize;
use service::{Permitted, ReadNotifications};
use utoipa::IntoParams;
use vocabulary::{Limit, Page, PageRequest};

use super::view::{NotificationView, Status};
use crate::deliveries::store;
use crate::state::AppState;

/// Filter and page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Only messages of this status.
    status: Option<Status>,
    /// Items on the page, 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the previous page.
    #[serde(default)]
    cursor: Option<String>,
}

/// List messages
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/notifications", operation_id = "list_notifications", tag = "notifications",
    security(("bearer" = ["notifications.read"])),
    params(Filter),
    responses(
        (status = 200, description = "A page", body = Page<NotificationView>),
        (status = 400, description = "The query is not valid", body = Problem,
         content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Insufficient permissions", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    _: Permitted<ReadNotifications>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<NotificationView>>, Problem> {
    let page = PageRequest {
        limit: filter.limit,
        cursor: filter.cursor,
    };
    let before = page.position().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query")
            .field("cursor", error.to_string())
    })?;
    let mut conn = app.core.acquire().await?;
    let rows = store::list(
        &mut conn,
        filter.status.map(Status::as_str),
        before,
        page.rows(),
    )
    .await?;
    let listed = Page::of(rows, &page, |last| last.id).map_err(|e| Problem::internal(&e))?;
    Ok(Json(listed.map(NotificationView::from)))
}
