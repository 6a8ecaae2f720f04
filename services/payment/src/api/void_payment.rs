//! `POST /internal/v1/payments/{id}/void`: hand the promise back. A promise that was never asked for can then never be made.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{InternalCaller, Json, Path, Problem};
use vocabulary::PaymentId;

use super::{Operation, uncommitted};
use crate::operate;
use crate::state::AppState;

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<PaymentId>,
    Json(body): Json<Operation>,
) -> Result<StatusCode, Problem> {
    body.check()?;
    if body.minor.is_some() {
        return Err(Problem::invalid().field("minor", "a promise goes back whole"));
    }
    let now = app.clock.now();
    let mut tx = app.begin().await?;
    let done = operate::void_or_remember(&app, &mut tx, id, &body.operation_id, now).await?;
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    let moved = done.is_some_and(|done| done.moved);
    app.metrics
        .count("void", if moved { "moved" } else { "already" });
    Ok(StatusCode::NO_CONTENT)
}
