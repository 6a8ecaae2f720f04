//! `order.placed.v1`: the payment is captured. What is committed here is the intent; the worker calls the provider.

use events::{OrderPlaced, PaymentFailed};
use outbox::HandlerError;
use service::{Consume, Received};
use sqlx::PgConnection;

use crate::attempts::domain::attempt::{Attempt, InFlight, Stage};
use crate::attempts::domain::operation::Kind;
use crate::attempts::operate::{commit_change, lock_or_remember};
use crate::attempts::store::read::Record;
use crate::metrics::Counted;
use crate::spec::SCHEMA;
use crate::state::AppState;

const OPERATION: &str = "order.placed";

impl Consume<OrderPlaced> for AppState {
    async fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<OrderPlaced>,
    ) -> Result<(), HandlerError> {
        let placed = event.payload;
        match lock_or_remember(conn, placed.payment_id, self.core.now()).await? {
            Some(Record::Attempt(attempt)) => capture(self, conn, attempt, &placed).await,
            // An order is placed on an authorisation only, so this is one that was lost.
            Some(Record::Cancelled) | None => fail(self, conn, &placed).await,
        }
    }
}

async fn capture(
    app: &AppState,
    conn: &mut PgConnection,
    attempt: Attempt,
    placed: &OrderPlaced,
) -> Result<(), HandlerError> {
    // In whatever amount: it was captured by hand.
    let by_hand = matches!(attempt.in_flight, Some(InFlight::Capture(_)))
        || matches!(
            attempt.stage,
            Stage::Captured { .. } | Stage::Refunded { .. }
        );
    if by_hand {
        app.metrics.count(Kind::Capture, Counted::Already);
        return Ok(());
    }
    match attempt.capture(OPERATION, None) {
        Ok(change) => {
            if !commit_change(app, conn, change).await? {
                app.metrics.count(Kind::Capture, Counted::Already);
            }
            Ok(())
        }
        // Voided by hand, or by a cancellation that was consumed first: either way there is no money, and an order that is
        // cancelled already ignores the event.
        Err(_) => fail(app, conn, placed).await,
    }
}

async fn fail(
    app: &AppState,
    conn: &mut PgConnection,
    placed: &OrderPlaced,
) -> Result<(), HandlerError> {
    app.metrics.count(Kind::Capture, Counted::Refused);
    let payload = PaymentFailed {
        payment_id: placed.payment_id,
        order_id: placed.order_id,
        amount: placed.total,
    };
    Ok(outbox::append(conn, SCHEMA, app.core.event_meta(app.core.now()), &payload).await?)
}
