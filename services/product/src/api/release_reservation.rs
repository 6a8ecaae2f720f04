//! `POST /internal/v1/reservations/{id}/release`: hand stock back. A hold that was never asked for
//! can then never be made.

use axum::extract::State;
use chassis::{InternalCaller, Path, Problem};
use http::StatusCode;
use vocabulary::ReservationId;

use super::uncommitted;
use crate::state::AppState;
use crate::store::reservations;

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<ReservationId>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.begin().await?;
    let moved = reservations::release(&mut tx, id, app.clock.now()).await?;
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    if moved {
        app.metrics.reservation("released");
    }
    Ok(StatusCode::NO_CONTENT)
}
