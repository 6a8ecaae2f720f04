//! `PUT /internal/v1/payments/{id}`: requests an authorisation.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::payments::{Authorise, Payment};
use vocabulary::PaymentId;

use super::view;
use crate::attempts::domain::attempt::Terms;
use crate::attempts::operate;
use crate::providers::{Method, Providers};
use crate::state::AppState;

fn terms(body: &Authorise, providers: &Providers) -> Result<Terms, Problem> {
    let method: Option<Method> = body.method.parse().ok();
    let Some(method) = method.filter(|method| providers.offers(method)) else {
        let offered: Vec<&str> = providers.offered().collect();
        let message = format!("not offered; offered: {}", offered.join(", "));
        return Err(Problem::invalid().field("method", message));
    };
    if !body.amount.is_positive() {
        return Err(Problem::invalid().field("amount.minor", "must be above zero"));
    }
    Ok(Terms {
        order_id: body.order_id,
        user_id: body.user_id,
        amount: body.amount,
        method,
    })
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<PaymentId>,
    Json(body): Json<Authorise>,
) -> Result<Json<Payment>, Problem> {
    let terms = terms(&body, &app.providers)?;
    let attempt = operate::authorise(&app, id, terms).await?;
    Ok(Json(view::payment(&attempt)))
}
