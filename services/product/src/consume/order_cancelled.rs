//! `order.cancelled.v1`: what was sold goes back on the shelf, once.

use events::OrderCancelled;
use outbox::HandlerError;
use sqlx::PgConnection;

use crate::state::AppState;
use crate::store::reservations;

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    said: &OrderCancelled,
) -> Result<(), HandlerError> {
    let now = app.clock.now();
    if reservations::restock(conn, said.reservation_id, said.order_id, now).await? {
        app.metrics.reservation("restocked");
    } else {
        // An order is placed on claimed stock only, so this is one that came back already.
        tracing::info!(
            reservation = %said.reservation_id, order = %said.order_id,
            "nothing to restock: it came back before"
        );
    }
    Ok(())
}
