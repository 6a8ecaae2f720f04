//! `POST /internal/v1/reservations/{id}/claim`: what is held is sold, once.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::reservations::{Claim, ClaimProblem};
use http::StatusCode;
use vocabulary::ReservationId;

use super::problem;
use crate::domain::stock::ClaimVerdict;
use crate::state::AppState;
use crate::store::reservations::{self, Record};

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<ReservationId>,
    Json(body): Json<Claim>,
) -> Result<StatusCode, Problem> {
    let mut conn = app.acquire().await?;
    if reservations::claim(&mut conn, id, body.order_id, app.clock.now()).await? {
        app.metrics.reservation("claimed");
        return Ok(StatusCode::OK);
    }
    let verdict = match reservations::find(&mut conn, id).await? {
        Some(Record::Reservation(found)) => found.state.claim_verdict(body.order_id),
        Some(Record::Tombstone) => ClaimVerdict::Gone,
        None => return Err(Problem::not_found()),
    };
    match verdict {
        ClaimVerdict::Already => Ok(StatusCode::OK),
        ClaimVerdict::Gone => {
            app.metrics.reservation("too_late");
            let title = "The reservation expired or was released";
            Err(problem(&ClaimProblem::ReservationExpired, title))
        }
        ClaimVerdict::Another => {
            let title = "The reservation is sold to another order";
            Err(problem(&ClaimProblem::ReservationMismatch, title))
        }
    }
}
