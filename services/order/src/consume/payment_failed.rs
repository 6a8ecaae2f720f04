//! `payment.failed.v1`: the money cannot be had after all, the order is cancelled and its stock goes back.

use events::PaymentFailed;
use outbox::{HandlerError, Row};
use sqlx::PgConnection;

use super::lock_order;
use crate::domain::order::Change;
use crate::state::AppState;
use crate::store::orders;

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    said: &PaymentFailed,
) -> Result<(), HandlerError> {
    let now = app.clock.now();
    let order = lock_order(conn, said.order_id, said.payment_id).await?;
    match order.cancel(now) {
        Change::Moved(order, cancelled) => {
            let said = Row::of(app.meta(now), &cancelled)?;
            orders::reach(conn, &order, (said, now)).await?;
            app.metrics.cancelled.with_label_values(&["payment"]).inc();
        }
        Change::Already(_) => {}
    }
    Ok(())
}
