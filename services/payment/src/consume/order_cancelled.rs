//! `order.cancelled.v1`: what is held is voided, what was taken is returned.

use events::OrderCancelled;
use outbox::HandlerError;
use sqlx::PgConnection;

use crate::attempts::execute::OperateError;
use crate::attempts::operate::{commit_change, lock_or_remember};
use crate::attempts::store::read::Record;
use crate::state::AppState;

const OPERATION: &str = "order.cancelled";

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    cancelled: &OrderCancelled,
) -> Result<(), HandlerError> {
    // Consumed before the payment is requested, it is remembered: the payment can then never be made.
    let record = lock_or_remember(conn, cancelled.payment_id, app.clock.now())
        .await
        .map_err(OperateError::from)?;
    if let Some(Record::Attempt(attempt)) = record {
        let change = attempt.cancel(OPERATION).map_err(OperateError::from)?;
        commit_change(app, conn, change).await?;
    }
    Ok(())
}
