//! `payment.captured.v1`: the money has arrived, the order is paid.

use events::PaymentCaptured;
use outbox::EffectError;
use sqlx::PgConnection;

use super::lock_order;
use crate::SCHEMA;
use crate::domain::order::Change;
use crate::state::AppState;
use crate::store::orders;

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    said: &PaymentCaptured,
) -> Result<(), EffectError> {
    let now = app.clock.now();
    let order = lock_order(conn, said.order_id, said.payment_id).await?;
    match order.pay(now) {
        Change::Moved(order, paid) => {
            orders::reach(conn, &order, now).await?;
            outbox::append(conn, SCHEMA, app.meta(now), &paid).await?;
            app.metrics.paid.inc();
        }
        // Cancelled before the money came: payment hears of the cancellation, and hands it back.
        Change::Already(_) => {}
    }
    Ok(())
}
