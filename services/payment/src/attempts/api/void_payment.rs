//! `POST /internal/v1/payments/{id}/void`: gives the authorisation up. One that was never requested can then never be made.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::payments::Operation;
use vocabulary::PaymentId;

use super::operation::check;
use crate::attempts::operate::{Ask, operate};
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<PaymentId>,
    Json(body): Json<Operation>,
) -> Result<StatusCode, Problem> {
    check(&body)?;
    if body.minor.is_some() {
        return Err(Problem::invalid().field("minor", "an authorisation is voided whole"));
    }
    operate(&app, id, &body.operation_id, Ask::Void).await?;
    Ok(StatusCode::NO_CONTENT)
}
