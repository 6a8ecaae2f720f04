//! `GET /v1/notifications`

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Caller, Json, Problem, Query};
use serde::Deserialize;
use utoipa::IntoParams;
use vocabulary::{Limit, Page, PageRequest};

use super::{NotificationView, Status};
use crate::state::AppState;
use crate::store::messages;

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only those of this status.
    status: Option<Status>,
    /// Items on the page, 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// List mail
///
/// Newest first. For administrators.
#[utoipa::path(
    get, path = "/v1/notifications", operation_id = "list_notifications", tag = "notifications",
    security(("bearer" = [])),
    params(Which),
    responses(
        (status = 200, description = "A page", body = Page<NotificationView>),
        (status = 400, description = "The query is not valid", body = Problem,
         content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Not an administrator", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<Page<NotificationView>>, Problem> {
    caller.require_role("admin")?;
    let page = PageRequest {
        limit: which.limit,
        cursor: which.cursor,
    };
    let before = page.position().map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_query",
            "The query is not valid",
        )
        .field("cursor", error.to_string())
    })?;
    let mut conn = app.acquire().await?;
    let rows = messages::list(
        &mut conn,
        which.status.map(Status::as_str),
        before,
        page.rows(),
    )
    .await
    .map_err(|e| Problem::internal(&e))?;
    let listed = Page::of(rows, &page, |last| last.id).map_err(|e| Problem::internal(&e))?;
    Ok(Json(listed.map(NotificationView::from)))
}
