//! `POST /v1/notifications/{id}/replay`

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Json, Path, Problem};
use service::{Permitted, ReplayNotifications};
use vocabulary::MessageId;

use super::view::NotificationView;
use crate::deliveries::store;
use crate::state::AppState;

/// Queue a dead message again
///
/// It gets all its attempts again. A message that is not dead is left as it is: 409.
#[utoipa::path(
    post, path = "/v1/notifications/{id}/replay", operation_id = "replay_notification",
    tag = "notifications",
    security(("bearer" = ["notifications.replay"])),
    params(("id" = MessageId, Path, description = "Id of the message")),
    responses(
        (status = 200, description = "Queued", body = NotificationView),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Insufficient permissions", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such message", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "The message is not dead", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    _: Permitted<ReplayNotifications>,
    Path(id): Path<MessageId>,
) -> Result<Json<NotificationView>, Problem> {
    let mut conn = app.core.acquire().await?;
    let requeued = store::requeue(&mut conn, id, app.core.now()).await?;
    let message = store::find(&mut conn, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    if !requeued {
        return Err(
            Problem::new(StatusCode::CONFLICT, "not_dead", "The message is not dead")
                .detail(format!("Its status is {}", message.status)),
        );
    }
    Ok(Json(message.into()))
}
