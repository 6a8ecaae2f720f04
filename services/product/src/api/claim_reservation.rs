//! `POST /internal/v1/reservations/{id}/claim`: what is held is sold, once.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use http::StatusCode;
use serde::Deserialize;
use vocabulary::{OrderId, ReservationId};

use crate::domain::stock::ClaimVerdict;
use crate::state::AppState;
use crate::store::reservations::{self, Record};

/// Who takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    order_id: OrderId,
}

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
    let refused = |code, title| Err(Problem::new(StatusCode::CONFLICT, code, title));
    match verdict {
        ClaimVerdict::Already => Ok(StatusCode::OK),
        ClaimVerdict::Gone => {
            app.metrics.reservation("too_late");
            refused("reservation_expired", "The hold ran out or was given back")
        }
        ClaimVerdict::Another => refused("reservation_mismatch", "It is sold to another order"),
    }
}
