//! Writes a step: attempt, operations, ledger entries and events, in one statement.

use chrono::{DateTime, Utc};
use outbox::Row as Event;
use serde_json::{Value, json};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::PaymentId;

use crate::attempts::domain::attempt::{Attempt, InFlight, Stage};
use crate::attempts::domain::operation::Operation;
use crate::attempts::domain::step::Step;

/// Woken when there is an operation to execute.
pub const CHANNEL: &str = "payment_operations";

/// How a step is written.
#[derive(Debug)]
pub struct Write {
    /// The attempt is new. Otherwise it is locked by this transaction.
    pub new: bool,
    /// What is published with it.
    pub events: Vec<Event>,
    /// When the worker executes what the step opens, unless it is done by then. Who executes it at once says a later time.
    pub due_at: DateTime<Utc>,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Stores a step. False if the attempt is new and its id is taken: nothing is stored then.
pub async fn write(conn: &mut PgConnection, step: &Step, write: Write) -> Result<bool, StoreError> {
    let attempt = &step.attempt;
    let (id, terms) = (attempt.id.as_uuid(), &attempt.terms);
    let currency = terms.amount.currency();
    let (capturing, voiding) = in_flight(attempt);
    let (url, reason) = facts(&attempt.stage);
    let events = write.events.iter().map(|event| event.as_str().to_owned());
    let events: Vec<String> = events.collect();
    let wake = step.first_open().is_some() && write.due_at <= write.now;
    let row = sqlx::query!(
        r#"with written as (
             insert into payment.payments as p (payment_id, state, order_id, user_id, method, currency, amount_minor,
                 captured_minor, refunded_minor, capturing_minor, refunding_minor, voiding, cancelling, next_action_url,
                 decline_reason, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
             on conflict (payment_id) do update
             set state = excluded.state, captured_minor = excluded.captured_minor, refunded_minor = excluded.refunded_minor,
                 capturing_minor = excluded.capturing_minor, refunding_minor = excluded.refunding_minor,
                 voiding = excluded.voiding, cancelling = excluded.cancelling, decline_reason = excluded.decline_reason,
                 next_action_url = excluded.next_action_url, version = p.version + 1, updated_at = excluded.updated_at
             where not $17
             returning payment_id
         ), opened as (
             insert into payment.operations (payment_id, operation_id, kind, amount_minor, state, reason, due_at, calls, at)
             select $1, op.id, op.kind, op.minor, op.state, op.reason,
                    case op.state when 'requested' then $18::timestamptz end,
                    case when op.state = 'requested' and $18 > $16 then 1 else 0 end, $16
             from written, jsonb_to_recordset($19) as op (id text, kind text, minor bigint, state text, reason text)
         ), closed as (
             update payment.operations as o set state = op.state, reason = op.reason, due_at = null
             from written, jsonb_to_recordset($20) as op (id text, state text, reason text)
             where o.payment_id = $1 and o.operation_id = op.id
         ), listed as (
             insert into payment.ledger_entries (payment_id, operation_id, account, minor, currency)
             select $1, entry.operation, entry.account, entry.minor, $6
             from written, jsonb_to_recordset($21) as entry (operation text, account text, minor bigint)
         )
         select exists (select from written) as "written!",
                (select count(payment.outbox_append(event::jsonb)) from written, unnest($22::text[]) as event) as published,
                (select count(pg_notify($23, '')) from written where $24) as woken"#,
        id,
        attempt.stage.as_str(),
        terms.order_id.as_uuid(),
        terms.user_id.as_uuid(),
        terms.method.as_str(),
        currency.as_str(),
        terms.amount.minor(),
        attempt.stage.captured(),
        attempt.stage.refunded(),
        capturing,
        attempt.stage.refunding(),
        voiding,
        attempt.cancelling,
        url,
        reason,
        write.now,
        write.new,
        write.due_at,
        operations(&step.opened),
        operations(&step.closed),
        entries(step),
        &events,
        CHANNEL,
        wake,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("write payment step"))?;
    Ok(row.written)
}

/// The minor units of the capture on its way, and whether a void is.
fn in_flight(attempt: &Attempt) -> (i64, bool) {
    match attempt.in_flight {
        Some(InFlight::Capture(minor)) => (minor, false),
        Some(InFlight::Void) => (0, true),
        None => (0, false),
    }
}

/// The URL where the payer has to act, and the reason of a decline.
fn facts(stage: &Stage) -> (Option<&str>, Option<&str>) {
    match stage {
        Stage::RequiresAction { url } => (Some(url), None),
        Stage::Declined { reason } => (None, reason.as_deref()),
        Stage::Requested
        | Stage::Pending
        | Stage::Authorised
        | Stage::Voided
        | Stage::Captured { .. }
        | Stage::Refunded { .. } => (None, None),
    }
}

fn operations(operations: &[Operation]) -> Value {
    let rows = operations.iter().map(|op| {
        json!({
            "id": op.id, "kind": op.kind.as_str(), "minor": op.minor,
            "state": op.state.as_str(), "reason": op.state.reason(),
        })
    });
    rows.collect()
}

fn entries(step: &Step) -> Value {
    let moves = step.movements.iter();
    let rows = moves.flat_map(|(operation, movement)| {
        let entries = movement.entries.iter();
        entries.map(move |(account, minor)| {
            json!({ "operation": operation, "account": account.as_str(), "minor": minor })
        })
    });
    rows.collect()
}

/// Remembers that a payment which was never requested must never hold anything. False if it was requested meanwhile.
pub async fn insert_cancelled(
    conn: &mut PgConnection,
    id: PaymentId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into payment.payments (payment_id, state, created_at, updated_at)
         values ($1, 'cancelled', $2, $2) on conflict (payment_id) do nothing",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("insert cancelled payment"))?;
    Ok(done.rows_affected() == 1)
}
