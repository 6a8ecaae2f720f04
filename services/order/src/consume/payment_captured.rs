//! `payment.captured.v1`: the money has arrived, the order is paid.

use events::PaymentCaptured;
use outbox::{HandlerError, Row};
use sqlx::PgConnection;

use super::lock_order;
use crate::domain::order::Change;
use crate::state::AppState;
use crate::store::orders;

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    said: &PaymentCaptured,
) -> Result<(), HandlerError> {
    let now = app.clock.now();
    let order = lock_order(conn, said.order_id, said.payment_id).await?;
    match order.pay(now) {
        Change::Moved(order, paid) => {
            let said = Row::of(app.meta(now), &paid)?;
            orders::reach(conn, &order, (said, now)).await?;
            app.metrics.paid.inc();
        }
        // Cancelled before the money came: payment hears of the cancellation, and hands it back.
        Change::Already(_) => {}
    }
    Ok(())
}
