//! `order.placed.v1`: the promise is called in.

use events::OrderPlaced;
use outbox::HandlerError;
use sqlx::PgConnection;

use crate::domain::payment::Stage;
use crate::operate::{self, lock_or_remember};
use crate::state::AppState;
use crate::store::payments::Record;

const OPERATION: &str = "order.placed";

pub(super) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    said: &OrderPlaced,
) -> Result<(), HandlerError> {
    let now = app.clock.now();
    let record = lock_or_remember(conn, said.payment_id, now)
        .await
        .map_err(operate::OperateError::from)?;
    let payment = match record {
        Some(Record::Payment(payment)) => payment,
        // An order is placed on a promise only, so this is a promise that was lost: say so, the order walks back.
        Some(Record::Cancelled) | None => {
            let facts = (said.payment_id, said.order_id, said.total);
            app.metrics.count("capture", "refused");
            return Ok(operate::say_failed(app, conn, facts, now).await?);
        }
    };
    match payment.stage {
        Stage::Authorised => {
            let done = operate::capture(app, conn, payment, (OPERATION, None), now).await?;
            app.metrics.count("capture", done.outcome());
        }
        Stage::Captured { .. } | Stage::Refunded { .. } => app.metrics.count("capture", "already"),
        // Voided by hand, or by a cancellation that was heard first: either way there is no money, and an order that is
        // cancelled already does not mind hearing it.
        Stage::Voided | Stage::Declined => {
            let facts = (said.payment_id, said.order_id, said.total);
            app.metrics.count("capture", "refused");
            operate::say_failed(app, conn, facts, now).await?;
        }
    }
    Ok(())
}
