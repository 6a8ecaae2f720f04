//! Writes a step: attempt, operations, ledger entries and events, in one statement.

use std::collections::HashSet;

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
    /// What is published with it.
    pub events: Vec<Event>,
    /// When the worker executes what the step opens, unless it is done by then. Who executes it at once says a later time.
    pub due_at: DateTime<Utc>,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Stores a step of an attempt that is locked by this transaction.
pub async fn write(conn: &mut PgConnection, step: &Step, write: Write) -> Result<(), StoreError> {
    let attempt = &step.attempt;
    let currency = attempt.terms.amount.currency();
    let (capturing, voiding) = in_flight(attempt);
    let (url, reason) = facts(&attempt.stage);
    let events = write.events.iter().map(|event| event.as_str().to_owned());
    let events: Vec<String> = events.collect();
    let wake = step.first_open().is_some() && write.due_at <= write.now;
    sqlx::query!(
        r#"with written as (
             update payment.payments
             set state = $2, captured_minor = $3, refunded_minor = $4, capturing_minor = $5, refunding_minor = $6, voiding = $7,
                 cancelling = $8, next_action_url = $9, decline_reason = $10, version = version + 1, updated_at = $11
             where payment_id = $1
             returning payment_id
         ), opened as (
             insert into payment.operations (payment_id, operation_id, kind, amount_minor, state, reason, due_at, calls, at)
             select $1, op.id, op.kind, op.minor, op.state, op.reason,
                    case op.state when 'requested' then $12::timestamptz end,
                    case when op.state = 'requested' and $12 > $11 then 1 else 0 end, $11
             from written, jsonb_to_recordset($13) as op (id text, kind text, minor bigint, state text, reason text)
         ), closed as (
             update payment.operations as o set state = op.state, reason = op.reason, due_at = null
             from written, jsonb_to_recordset($14) as op (id text, state text, reason text)
             where o.payment_id = $1 and o.operation_id = op.id
         ), listed as (
             insert into payment.ledger_entries (payment_id, operation_id, account, minor, currency)
             select $1, entry.operation, entry.account, entry.minor, $15
             from written, jsonb_to_recordset($16) as entry (operation text, account text, minor bigint)
         )
         select (select count(payment.outbox_append(event::jsonb)) from written, unnest($17::text[]) as event) as published,
                (select count(pg_notify($18, '')) from written where $19) as woken"#,
        attempt.id.as_uuid(),
        attempt.stage.as_str(),
        attempt.stage.captured(),
        attempt.stage.refunded(),
        capturing,
        attempt.stage.refunding(),
        voiding,
        attempt.cancelling,
        url,
        reason,
        write.now,
        write.due_at,
        list(operations(step, &step.opened)),
        list(operations(step, &step.closed)),
        currency.as_str(),
        list(entries(step)),
        &events,
        CHANNEL,
        wake,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("write payment step"))?;
    Ok(())
}

/// A step that makes an attempt, with what is published about it.
#[derive(Debug, Clone)]
pub struct New {
    pub step: Step,
    pub events: Vec<Event>,
}

/// Stores attempts that are new; whose ids were free. Of the others nothing is stored. Each id once, in order: two statements with the
/// same ids wait for each other.
pub async fn insert(
    conn: &mut PgConnection,
    new: &[New],
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<HashSet<PaymentId>, StoreError> {
    let steps = || new.iter().map(|new| &new.step);
    let events = || {
        let of = |new: &'_ New| new.step.attempt.id.as_uuid();
        let all = new.iter().map(move |new| (of(new), &new.events));
        all.flat_map(|(id, events)| events.iter().map(move |event| (id, event)))
    };
    let event_ids: Vec<_> = events().map(|(id, _)| id).collect();
    let bodies: Vec<_> = events()
        .map(|(_, event)| event.as_str().to_owned())
        .collect();
    let written = sqlx::query_scalar!(
        r#"with written as (
             insert into payment.payments (payment_id, state, order_id, user_id, method, currency, amount_minor,
                 captured_minor, refunded_minor, capturing_minor, refunding_minor, voiding, cancelling, next_action_url,
                 decline_reason, created_at, updated_at)
             select payment_id, state, order_id, user_id, method, currency, amount_minor,
                 captured_minor, refunded_minor, capturing_minor, refunding_minor, voiding, cancelling, next_action_url,
                 decline_reason, $2, $2
             from jsonb_to_recordset($1) as attempt (
                 payment_id uuid, state text, order_id uuid, user_id uuid, method text, currency text, amount_minor bigint,
                 captured_minor bigint, refunded_minor bigint, capturing_minor bigint, refunding_minor bigint, voiding boolean,
                 cancelling boolean, next_action_url text, decline_reason text)
             on conflict (payment_id) do nothing
             returning payment_id, currency
         ), opened as (
             insert into payment.operations (payment_id, operation_id, kind, amount_minor, state, reason, due_at, calls, at)
             select payment_id, op.id, op.kind, op.minor, op.state, op.reason,
                    case op.state when 'requested' then $3::timestamptz end,
                    case when op.state = 'requested' and $3 > $2 then 1 else 0 end, $2
             from written join jsonb_to_recordset($4)
                 as op (payment_id uuid, id text, kind text, minor bigint, state text, reason text) using (payment_id)
         ), listed as (
             insert into payment.ledger_entries (payment_id, operation_id, account, minor, currency)
             select payment_id, entry.operation, entry.account, entry.minor, written.currency
             from written join jsonb_to_recordset($5)
                 as entry (payment_id uuid, operation text, account text, minor bigint) using (payment_id)
         ), published as (
             select count(payment.outbox_append(event::jsonb))
             from written join unnest((select $6::uuid[]), (select $7::text[])) as event (payment_id, event) using (payment_id)
         )
         select payment_id from written, published"#,
        list(steps().map(attempt)),
        now,
        due_at,
        list(steps().flat_map(|step| operations(step, &step.opened))),
        list(steps().flat_map(entries)),
        &event_ids,
        &bodies,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("insert payment attempts"))?;
    Ok(written.into_iter().map(PaymentId::from_uuid).collect())
}

fn attempt(step: &Step) -> Value {
    let attempt = &step.attempt;
    let (terms, stage) = (&attempt.terms, &attempt.stage);
    let (capturing, voiding) = in_flight(attempt);
    let (url, reason) = facts(stage);
    json!({
        "payment_id": attempt.id.as_uuid(), "state": stage.as_str(), "order_id": terms.order_id.as_uuid(),
        "user_id": terms.user_id.as_uuid(), "method": terms.method.as_str(),
        "currency": terms.amount.currency().as_str(), "amount_minor": terms.amount.minor(),
        "captured_minor": stage.captured(), "refunded_minor": stage.refunded(), "capturing_minor": capturing,
        "refunding_minor": stage.refunding(), "voiding": voiding, "cancelling": attempt.cancelling,
        "next_action_url": url, "decline_reason": reason,
    })
}

fn list(rows: impl Iterator<Item = Value>) -> Value {
    rows.collect()
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

fn operations<'a>(step: &'a Step, operations: &'a [Operation]) -> impl Iterator<Item = Value> + 'a {
    operations.iter().map(|op| {
        json!({
            "payment_id": step.attempt.id.as_uuid(), "id": op.id, "kind": op.kind.as_str(), "minor": op.minor,
            "state": op.state.as_str(), "reason": op.state.reason(),
        })
    })
}

fn entries(step: &Step) -> impl Iterator<Item = Value> + '_ {
    let moves = step.movements.iter();
    moves.flat_map(move |(operation, movement)| {
        let entries = movement.entries.iter();
        entries.map(move |(account, minor)| {
            json!({
                "payment_id": step.attempt.id.as_uuid(), "operation": operation, "account": account.as_str(),
                "minor": minor,
            })
        })
    })
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
