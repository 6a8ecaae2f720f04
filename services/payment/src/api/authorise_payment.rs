//! `PUT /internal/v1/payments/{id}`: ask for a promise.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use serde::Deserialize;
use vocabulary::{Money, OrderId, PaymentId, UserId};

use super::PaymentView;
use crate::domain::payment::Terms;
use crate::domain::provider::Method;
use crate::operate;
use crate::state::AppState;

/// Who pays how much for what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authorise {
    order_id: OrderId,
    user_id: UserId,
    amount: Money,
    method: String,
}

impl Authorise {
    fn terms(self) -> Result<Terms, Problem> {
        let method = self.method.parse::<Method>();
        let method = method.map_err(|e| Problem::invalid().field("method", e.to_string()))?;
        if !self.amount.is_positive() {
            return Err(Problem::invalid().field("amount.minor", "an amount above zero"));
        }
        Ok(Terms {
            order_id: self.order_id,
            user_id: self.user_id,
            amount: self.amount,
            method,
        })
    }
}

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<PaymentId>,
    Json(body): Json<Authorise>,
) -> Result<Json<PaymentView>, Problem> {
    let terms = body.terms()?;
    let now = app.clock.now();
    let mut conn = app.acquire().await?;
    let done = operate::authorise(&app, &mut conn, id, terms, now).await?;
    drop(conn);
    app.metrics.count("authorise", done.outcome());
    Ok(Json(done.payment.into()))
}
