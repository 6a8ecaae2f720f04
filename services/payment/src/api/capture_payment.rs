//! `POST /internal/v1/payments/{id}/capture`: take what was promised.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use vocabulary::PaymentId;

use super::{Operation, PaymentView, uncommitted};
use crate::operate::{self, OperateError};
use crate::state::AppState;
use crate::store::payments::{self, Record};

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<PaymentId>,
    Json(body): Json<Operation>,
) -> Result<Json<PaymentView>, Problem> {
    body.check()?;
    let now = app.clock.now();
    let mut tx = app.begin().await?;
    let payment = match payments::lock(&mut tx, id).await? {
        Some(Record::Payment(payment)) => payment,
        Some(Record::Cancelled) => return Err(OperateError::Cancelled.into()),
        None => return Err(Problem::not_found()),
    };
    let operation = (body.operation_id.as_str(), body.minor);
    let done = operate::capture(&app, &mut tx, payment, operation, now).await?;
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    app.metrics.count("capture", done.outcome());
    Ok(Json(done.payment.into()))
}
