//! What handlers and listeners do alike: move money in the caller's transaction, and say so.

use chrono::{DateTime, Utc};
use events::{PaymentAuthorised, PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentVoided};
use outbox::{OutboxError, Row};
use sqlx::PgConnection;
use vocabulary::{Money, OrderId, PaymentId};

use crate::SCHEMA;
use crate::domain::ledger::{Kind, Movement};
use crate::domain::payment::{Change, Payment, Refusal, Stage, Terms};
use crate::domain::provider::Verdict;
use crate::state::AppState;
use crate::store::StoreError;
use crate::store::payments::{self, Record};

/// An operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    /// A rule forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such payment.
    #[error("there is no such payment")]
    Unknown,
    /// It was cancelled before it was asked for.
    #[error("the payment was cancelled before it was authorised")]
    Cancelled,
    /// The id stands for something else.
    #[error("this id was used for something else")]
    Mismatch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// What an operation came to.
#[derive(Debug)]
pub(crate) struct Done {
    /// The payment after it.
    pub payment: Payment,
    /// True if money moved now, false if it had moved before.
    pub moved: bool,
}

impl Done {
    /// For the metric.
    pub(crate) const fn outcome(&self) -> &'static str {
        match (self.moved, self.payment.stage) {
            (false, _) => "already",
            (true, Stage::Declined | Stage::Voided) => "declined",
            (true, Stage::Authorised | Stage::Captured { .. } | Stage::Refunded { .. }) => "moved",
        }
    }
}

/// Asks for a promise, once per id: the same terms get the same answer, other terms a refusal. What it stores is stored by
/// one statement, so that no transaction is needed around it.
pub(crate) async fn authorise(
    app: &AppState,
    conn: &mut PgConnection,
    id: PaymentId,
    terms: Terms,
    now: DateTime<Utc>,
) -> Result<Done, OperateError> {
    let (payment, movement) = Payment::authorise(id, terms, now);
    let fresh = match &movement {
        Some(movement) => {
            let said = said(app, &payment, movement, now)?;
            payments::insert_authorised(conn, &payment, movement, (said, now)).await?
        }
        None => payments::insert(conn, &payment, now).await?,
    };
    if !fresh {
        return match payments::find(conn, id).await? {
            Some(Record::Payment(known)) if known.terms == payment.terms => Ok(Done {
                payment: known,
                moved: false,
            }),
            Some(Record::Payment(_)) => Err(OperateError::Mismatch),
            Some(Record::Cancelled) => Err(OperateError::Cancelled),
            // The insert saw it, so it is there; rows are never deleted.
            None => Err(OperateError::Unknown),
        };
    }
    Ok(Done {
        payment,
        moved: true,
    })
}

/// Takes the money, if the provider agrees. If not, the promise goes back and the order learns of it.
pub(crate) async fn capture(
    app: &AppState,
    conn: &mut PgConnection,
    payment: Payment,
    operation: (&str, Option<i64>),
    now: DateTime<Utc>,
) -> Result<Done, OperateError> {
    let change = payment.clone().capture(operation.1)?;
    if matches!(change, Change::Moved(..)) && payment.terms.method.capture() == Verdict::Declined {
        let done = apply(app, conn, payment.void()?, operation.0, now).await?;
        let terms = &done.payment.terms;
        say_failed(
            app,
            conn,
            (done.payment.id, terms.order_id, terms.amount),
            now,
        )
        .await?;
        return Ok(done);
    }
    apply(app, conn, change, operation.0, now).await
}

/// Tells the order that its money cannot be had.
pub(crate) async fn say_failed(
    app: &AppState,
    conn: &mut PgConnection,
    (payment_id, order_id, amount): (PaymentId, OrderId, Money),
    now: DateTime<Utc>,
) -> Result<(), OperateError> {
    let said = PaymentFailed {
        payment_id,
        order_id,
        amount,
    };
    outbox::append(conn, SCHEMA, app.meta(now), &said).await?;
    Ok(())
}

/// Stores a decided change of a locked payment, with its event.
pub(crate) async fn apply(
    app: &AppState,
    conn: &mut PgConnection,
    change: Change,
    operation_id: &str,
    now: DateTime<Utc>,
) -> Result<Done, OperateError> {
    let (payment, movement) = match change {
        Change::Moved(payment, movement) => (payment, movement),
        Change::Already(payment) => {
            return Ok(Done {
                payment,
                moved: false,
            });
        }
    };
    let said = said(app, &payment, &movement, now)?;
    let stored = payments::record(conn, &payment, &movement, operation_id, (said, now)).await;
    if let Err(error) = stored {
        // The id of an operation of another kind.
        return match error.constraint() {
            Some("operations_pkey") => Err(OperateError::Mismatch),
            _ => Err(error.into()),
        };
    }
    Ok(Done {
        payment,
        moved: true,
    })
}

/// The event that tells of a movement.
fn said(
    app: &AppState,
    payment: &Payment,
    movement: &Movement,
    now: DateTime<Utc>,
) -> Result<Row, OutboxError> {
    let (payment_id, order_id) = (payment.id, payment.terms.order_id);
    let amount = Money::new(movement.minor, payment.terms.amount.currency());
    let meta = app.meta(now);
    match movement.kind {
        Kind::Authorise => {
            let said = PaymentAuthorised {
                payment_id,
                order_id,
                amount,
            };
            Row::of(meta, &said)
        }
        Kind::Capture => {
            let said = PaymentCaptured {
                payment_id,
                order_id,
                amount,
            };
            Row::of(meta, &said)
        }
        Kind::Void => {
            let said = PaymentVoided {
                payment_id,
                order_id,
                amount,
            };
            Row::of(meta, &said)
        }
        Kind::Refund => {
            let said = PaymentRefunded {
                payment_id,
                order_id,
                amount,
            };
            Row::of(meta, &said)
        }
    }
}

/// Hands the promise back; one that was never asked for is remembered, so that it can never be made.
pub(crate) async fn void_or_remember(
    app: &AppState,
    conn: &mut PgConnection,
    id: PaymentId,
    operation_id: &str,
    now: DateTime<Utc>,
) -> Result<Option<Done>, OperateError> {
    let Some(record) = lock_or_remember(conn, id, now).await? else {
        return Ok(None);
    };
    match record {
        Record::Cancelled => Ok(None),
        Record::Payment(payment) => apply(app, conn, payment.void()?, operation_id, now)
            .await
            .map(Some),
    }
}

/// The payment under its lock; if there is none, from now on there is a cancelled one.
pub(crate) async fn lock_or_remember(
    conn: &mut PgConnection,
    id: PaymentId,
    now: DateTime<Utc>,
) -> Result<Option<Record>, StoreError> {
    if let Some(record) = payments::lock(conn, id).await? {
        return Ok(Some(record));
    }
    if payments::insert_cancelled(conn, id, now).await? {
        return Ok(None);
    }
    // An authorisation came between the two statements, and is committed: it can be locked now.
    payments::lock(conn, id).await
}
