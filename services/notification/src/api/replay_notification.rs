//! `POST /v1/notifications/{id}/replay`

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{Caller, Json, Path, Problem};
use vocabulary::MessageId;

use super::NotificationView;
use crate::state::AppState;
use crate::store::messages;

/// Send a dead message again
///
/// It is queued with all its attempts. For administrators. Asking again while it waits is harmless:
/// 409.
#[utoipa::path(
    post, path = "/v1/notifications/{id}/replay", operation_id = "replay_notification",
    tag = "notifications",
    security(("bearer" = [])),
    params(("id" = MessageId, Path, description = "Id of the message")),
    responses(
        (status = 200, description = "Queued", body = NotificationView),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Not an administrator", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such message", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "It is not dead", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> Result<Json<NotificationView>, Problem> {
    caller.require_role("admin")?;
    let mut conn = app.acquire().await?;
    let revived = messages::revive(&mut conn, id, app.clock.now())
        .await
        .map_err(|e| Problem::internal(&e))?;
    let message = messages::find(&mut conn, id)
        .await
        .map_err(|e| Problem::internal(&e))?;
    let message = message.ok_or_else(Problem::not_found)?;
    if !revived {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "not_dead",
            "Only a dead message is replayed",
        )
        .detail(format!("It is {}", message.status)));
    }
    Ok(Json(message.into()))
}
