//! `order.cancelled.v1`: what was sold is put back, once.

use events::OrderCancelled;
use outbox::HandlerError;
use sqlx::PgConnection;

use crate::domain::reservation::Command;
use crate::state::AppState;
use crate::store::reservations::{self, Outcome};

pub(super) async fn handle(
    app: &AppState,
    conn: &mut PgConnection,
    cancelled: &OrderCancelled,
) -> Result<(), HandlerError> {
    let (id, order) = (cancelled.reservation_id, cancelled.order_id);
    let now = app.clock.now();
    let restocked = reservations::execute(conn, id, Command::Restock(order), now).await?;
    if matches!(restocked, Outcome::Moved(_)) {
        app.metrics.reservation("restocked");
    } else {
        // An order is placed on claimed stock only, so this one was restocked before.
        tracing::info!(reservation = %id, %order, "nothing to restock");
    }
    Ok(())
}
