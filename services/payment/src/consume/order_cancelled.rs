//! `order.cancelled.v1`: what was promised or taken goes back.

use events::OrderCancelled;
use outbox::HandlerError;
use sqlx::PgConnection;

use crate::domain::payment::Change;
use crate::operate::{self, OperateError, lock_or_remember};
use crate::state::AppState;
use crate::store::payments::Record;

const OPERATION: &str = "order.cancelled";

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    said: &OrderCancelled,
) -> Result<(), HandlerError> {
    let now = app.clock.now();
    // Heard before the payment exists, it is remembered: the payment can then never be made.
    let record = lock_or_remember(conn, said.payment_id, now)
        .await
        .map_err(OperateError::from)?;
    let Some(Record::Payment(payment)) = record else {
        return Ok(());
    };
    let change = payment.cancel().map_err(OperateError::from)?;
    if let Change::Moved(_, movement) = &change {
        app.metrics.count(movement.kind.as_str(), "moved");
    }
    operate::apply(app, conn, change, OPERATION, now).await?;
    Ok(())
}
