//! `POST /internal/v1/payments/{id}/capture`: takes what is held, or a part of it.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::payments::{Operation, Payment};
use vocabulary::PaymentId;

use super::operation::{check, reply};
use crate::attempts::operate::{Ask, operate};
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<PaymentId>,
    Json(body): Json<Operation>,
) -> Result<(StatusCode, Json<Payment>), Problem> {
    check(&body)?;
    reply(operate(&app, id, &body.operation_id, Ask::Capture(body.minor)).await?)
}
