//! `GET /v1/payments/{id}`: how a payment stands, for who pays it and for administrators.

use axum::extract::State;
use chassis::{Caller, Json, Path, Problem};
use vocabulary::PaymentId;

use super::PaymentView;
use crate::state::AppState;
use crate::store::payments::{self, Record};

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
        (status = 404, description = "No such payment, or somebody else's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<PaymentId>,
) -> Result<Json<PaymentView>, Problem> {
    let mut conn = app.acquire().await?;
    match payments::find(&mut conn, id).await? {
        Some(Record::Payment(payment))
            if payment.terms.user_id.as_uuid() == caller.id() || caller.has_role("admin") =>
        {
            Ok(Json(payment.into()))
        }
        Some(Record::Payment(_) | Record::Cancelled) | None => Err(Problem::not_found()),
    }
}
