//! `GET /v1/payments/{id}`: a payment, for its payer and for administrators.

use axum::extract::State;
use chassis::{Json, Path, Problem};
use service::Caller;
use vocabulary::{PaymentId, Permission};

use super::view::PaymentView;
use crate::attempts::store::read::{self, Record};
use crate::state::AppState;

#[utoipa::path(
    get,
    path = "/v1/payments/{id}",
    tag = "payments",
    operation_id = "get_payment",
    params(("id" = PaymentId, Path, description = "Id of the payment")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The payment", body = PaymentView),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such payment, or another payer's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<PaymentId>,
) -> Result<Json<PaymentView>, Problem> {
    let mut conn = app.core.acquire().await?;
    match read::find(&mut conn, id).await? {
        Some(Record::Attempt(attempt)) => {
            caller.require_owner_or(attempt.terms.user_id, Permission::ReadAnyPayment)?;
            Ok(Json(attempt.into()))
        }
        Some(Record::Cancelled) | None => Err(Problem::not_found()),
    }
}
