//! `POST /internal/v1/reservations/{id}/release`: give stock back. An id that was never used can then hold nothing.

use axum::extract::State;
use chassis::{InternalCaller, Path, Problem};
use http::StatusCode;
use vocabulary::ReservationId;

use crate::domain::reservation::Command;
use crate::state::AppState;
use crate::store::reservations::{self, Outcome};

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<ReservationId>,
) -> Result<StatusCode, Problem> {
    let mut conn = app.core.acquire().await?;
    let now = app.core.now();
    let released = reservations::execute(&mut conn, id, Command::Release, now).await?;
    if matches!(released, Outcome::Moved(_)) {
        app.metrics.reservation("released");
    }
    Ok(StatusCode::NO_CONTENT)
}
