//! `POST /internal/v1/payments/{id}/refund`: hand money back, in part or all that is left.

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
    // Under the payment's lock: what another request did under this id is seen.
    if let Some((kind, minor)) = payments::find_operation(&mut tx, id, &body.operation_id).await? {
        if kind != "refund" || body.minor.is_some_and(|asked| asked != minor) {
            return Err(OperateError::Mismatch.into());
        }
        app.metrics.count("refund", "already");
        return Ok(Json(payment.into()));
    }
    let change = payment.refund(body.minor).map_err(OperateError::from);
    if change.is_err() {
        app.metrics.count("refund", "refused");
    }
    let done = operate::apply(&app, &mut tx, change?, &body.operation_id, now).await?;
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    app.metrics.count("refund", "moved");
    Ok(Json(done.payment.into()))
}
