//! Payments, their operations and the ledger.

use chrono::{DateTime, Utc};
use outbox::Row as Said;
use sqlx::PgConnection;
use vocabulary::{Money, OrderId, PaymentId, UserId};

use super::{StoreError, failed};
use crate::domain::ledger::Movement;
use crate::domain::payment::{Payment, Stage, Terms};

/// What is known about a payment id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It was cancelled before it was asked for: it must never hold anything.
    Cancelled,
    /// It was asked for.
    Payment(Payment),
}

struct Row {
    payment_id: PaymentId,
    state: String,
    order_id: Option<OrderId>,
    user_id: Option<UserId>,
    method: Option<String>,
    currency: Option<String>,
    amount_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    created_at: DateTime<Utc>,
}

impl Row {
    fn decode(self) -> Result<Record, StoreError> {
        if self.state == "cancelled" {
            return Ok(Record::Cancelled);
        }
        let id = self.payment_id;
        self.payment()
            .map(Record::Payment)
            .ok_or(StoreError::BadRow(id))
    }

    fn payment(self) -> Option<Payment> {
        let captured = self.captured_minor;
        let stage = match self.state.as_str() {
            "authorised" => Stage::Authorised,
            "declined" => Stage::Declined,
            "voided" => Stage::Voided,
            "captured" => Stage::Captured {
                captured,
                refunded: self.refunded_minor,
            },
            "refunded" => Stage::Refunded { captured },
            _ => return None,
        };
        Some(Payment {
            id: self.payment_id,
            terms: Terms {
                order_id: self.order_id?,
                user_id: self.user_id?,
                amount: Money::from_columns(self.amount_minor, &self.currency?).ok()?,
                method: self.method?.parse().ok()?,
            },
            stage,
            created_at: self.created_at,
        })
    }
}

/// A payment, as it stands.
pub async fn find(conn: &mut PgConnection, id: PaymentId) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select payment_id as "payment_id: PaymentId", state, order_id as "order_id: OrderId",
                  user_id as "user_id: UserId", method, currency, amount_minor, captured_minor,
                  refunded_minor, created_at
           from payment.payments where payment_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find payment"))?;
    row.map(Row::decode).transpose()
}

/// A payment about to change: nobody else can change it until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: PaymentId) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select payment_id as "payment_id: PaymentId", state, order_id as "order_id: OrderId",
                  user_id as "user_id: UserId", method, currency, amount_minor, captured_minor,
                  refunded_minor, created_at
           from payment.payments where payment_id = $1 for update"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock payment"))?;
    row.map(Row::decode).transpose()
}

/// Stores a new payment. False if the id is taken: nothing is stored then.
pub async fn insert(
    conn: &mut PgConnection,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let terms = &payment.terms;
    let currency = terms.amount.currency();
    let done = sqlx::query!(
        "insert into payment.payments
             (payment_id, state, order_id, user_id, method, currency, amount_minor, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         on conflict (payment_id) do nothing",
        payment.id.as_uuid(),
        payment.stage.as_str(),
        terms.order_id.as_uuid(),
        terms.user_id.as_uuid(),
        terms.method.as_str(),
        currency.as_str(),
        terms.amount.minor(),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("insert payment"))?;
    Ok(done.rows_affected() == 1)
}

/// Remembers that a payment which was never asked for must never hold anything. False if it was asked for meanwhile.
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

/// Stores where a payment that was locked stands after a movement: stage, operation, ledger entries and event in one
/// statement.
pub async fn record(
    conn: &mut PgConnection,
    payment: &Payment,
    movement: &Movement,
    operation_id: &str,
    (said, now): (Said, DateTime<Utc>),
) -> Result<(), StoreError> {
    let (accounts, minors) = entries(movement);
    let currency = payment.terms.amount.currency();
    sqlx::query_scalar!(
        "with moved as (
             update payment.payments
             set state = $2, captured_minor = $3, refunded_minor = $4, version = version + 1, updated_at = $5
             where payment_id = $1
             returning payment_id
         ), operation as (
             insert into payment.operations (payment_id, operation_id, kind, amount_minor, at)
             values ($1, $6, $7, $8, $5)
         ), listed as (
             insert into payment.ledger_entries (payment_id, operation_id, account, minor, currency)
             select $1, $6, entry.account, entry.minor, $9
             from unnest($10::text[], $11::bigint[]) as entry (account, minor)
         )
         select payment.outbox_append($12::text::jsonb) from moved",
        payment.id.as_uuid(),
        payment.stage.as_str(),
        payment.stage.captured(),
        payment.stage.refunded(),
        now,
        operation_id,
        movement.kind.as_str(),
        movement.minor,
        currency.as_str(),
        &accounts,
        &minors,
        said.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("record movement"))?;
    Ok(())
}

/// Stores a promise together with its payment and its event. False if the id is taken: nothing is stored then.
pub async fn insert_authorised(
    conn: &mut PgConnection,
    payment: &Payment,
    movement: &Movement,
    (said, now): (Said, DateTime<Utc>),
) -> Result<bool, StoreError> {
    let (accounts, minors) = entries(movement);
    let terms = &payment.terms;
    let currency = terms.amount.currency();
    let fresh = sqlx::query_scalar!(
        r#"with fresh as (
             insert into payment.payments
                 (payment_id, state, order_id, user_id, method, currency, amount_minor, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
             on conflict (payment_id) do nothing
             returning payment_id
         ), operation as (
             insert into payment.operations (payment_id, operation_id, kind, amount_minor, at)
             select payment_id, 'authorise', 'authorise', $7, $8 from fresh
         ), listed as (
             insert into payment.ledger_entries (payment_id, operation_id, account, minor, currency)
             select fresh.payment_id, 'authorise', entry.account, entry.minor, $6
             from fresh, unnest($9::text[], $10::bigint[]) as entry (account, minor)
         )
         select payment.outbox_append($11::text::jsonb) from fresh"#,
        payment.id.as_uuid(),
        payment.stage.as_str(),
        terms.order_id.as_uuid(),
        terms.user_id.as_uuid(),
        terms.method.as_str(),
        currency.as_str(),
        terms.amount.minor(),
        now,
        &accounts,
        &minors,
        said.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("insert authorised payment"))?;
    Ok(fresh.is_some())
}

/// Accounts and what moves on them.
fn entries(movement: &Movement) -> (Vec<String>, Vec<i64>) {
    let entries = movement.entries.iter();
    entries
        .map(|(account, minor)| (account.as_str().to_owned(), *minor))
        .unzip()
}

/// What was done under an operation id: kind and amount.
pub async fn find_operation(
    conn: &mut PgConnection,
    id: PaymentId,
    operation_id: &str,
) -> Result<Option<(String, i64)>, StoreError> {
    let row = sqlx::query!(
        "select kind, amount_minor from payment.operations where payment_id = $1 and operation_id = $2",
        id.as_uuid(),
        operation_id,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find operation"))?;
    Ok(row.map(|row| (row.kind, row.amount_minor)))
}
