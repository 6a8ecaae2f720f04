//! `POST /internal/v1/reservations/{id}/claim`: what is held is sold, once.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::reservations::{Claim, ClaimProblem};
use http::StatusCode;
use vocabulary::ReservationId;

use super::problems::problem;
use crate::domain::reservation::{ClaimRefusal, Command};
use crate::state::AppState;
use crate::store::reservations::{self, Outcome};

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<ReservationId>,
    Json(body): Json<Claim>,
) -> Result<StatusCode, Problem> {
    let (core, order) = (&app.core, body.order_id);
    if app.together.claim(core, id, order).await {
        app.metrics.reservation("claimed");
        return Ok(StatusCode::OK);
    }
    let mut conn = core.acquire().await?;
    let command = Command::Claim(order);
    match reservations::execute(&mut conn, id, command, app.core.now()).await? {
        Outcome::Moved(_) => {
            app.metrics.reservation("claimed");
            Ok(StatusCode::OK)
        }
        Outcome::Unchanged => Ok(StatusCode::OK),
        Outcome::Refused(refusal) => Err(refuse(&app, refusal)),
    }
}

fn refuse(app: &AppState, refusal: ClaimRefusal) -> Problem {
    let (why, title) = match refusal {
        ClaimRefusal::Unknown => return Problem::not_found(),
        ClaimRefusal::Expired => {
            app.metrics.reservation("too_late");
            let title = "The reservation expired or was released";
            (ClaimProblem::ReservationExpired, title)
        }
        ClaimRefusal::AnotherOrder => {
            let title = "The reservation is sold to another order";
            (ClaimProblem::ReservationMismatch, title)
        }
    };
    problem(&why, title)
}
