//! The events of a step.

use chrono::{DateTime, Utc};
use events::{PaymentAuthorised, PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentVoided};
use outbox::{OutboxError, Row};

use super::domain::attempt::Attempt;
use super::domain::operation::Kind;
use super::domain::step::Step;
use crate::ledger::domain::Movement;
use crate::state::AppState;

/// One for each movement of money that the requester does not learn from the response, and the failure.
///
/// An authorisation that is requested and decided in one commit has no event: the response tells it, and so
/// does the same request again. Its only consumer would handle one event an order for nothing.
pub(crate) fn events_of(
    app: &AppState,
    step: &Step,
    now: DateTime<Utc>,
) -> Result<Vec<Row>, OutboxError> {
    let attempt = &step.attempt;
    let moves = step.movements.iter().filter(|(operation, movement)| {
        let opened_here = step.opened.iter().any(|opened| opened.id == *operation);
        movement.kind != Kind::Authorise || !opened_here
    });
    let moves = moves.map(|(_, movement)| event_of(app, attempt, movement, now));
    let failure = step.failed.then(|| {
        let payload = PaymentFailed {
            payment_id: attempt.id,
            order_id: attempt.terms.order_id,
            amount: attempt.terms.amount,
        };
        Row::of(app.core.event_meta(now), &payload)
    });
    moves.chain(failure).collect()
}

fn event_of(
    app: &AppState,
    attempt: &Attempt,
    movement: &Movement,
    now: DateTime<Utc>,
) -> Result<Row, OutboxError> {
    let (payment_id, order_id) = (attempt.id, attempt.terms.order_id);
    let amount = attempt.money(movement.minor);
    let meta = app.core.event_meta(now);
    macro_rules! row {
        ($payload:ident) => {
            Row::of(
                meta,
                &$payload {
                    payment_id,
                    order_id,
                    amount,
                },
            )
        };
    }
    match movement.kind {
        Kind::Authorise => row!(PaymentAuthorised),
        Kind::Capture => row!(PaymentCaptured),
        Kind::Void => row!(PaymentVoided),
        Kind::Refund => row!(PaymentRefunded),
    }
}
