//! Reads attempts and operations.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::{Money, OrderId, PaymentId, UserId};

use crate::attempts::domain::attempt::{Attempt, InFlight, Stage, Terms};
use crate::attempts::domain::operation::{Operation, State};

/// What is known about a payment id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It was cancelled before it was requested: it must never hold anything.
    Cancelled,
    /// It was requested.
    Attempt(Attempt),
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
    capturing_minor: i64,
    refunding_minor: i64,
    voiding: bool,
    cancelling: bool,
    next_action_url: Option<String>,
    decline_reason: Option<String>,
    created_at: DateTime<Utc>,
}

impl Row {
    fn decode(self) -> Result<Record, StoreError> {
        if self.state == "cancelled" {
            return Ok(Record::Cancelled);
        }
        let id = self.payment_id;
        self.attempt()
            .map(Record::Attempt)
            .ok_or(StoreError::invalid_row(format!("payment {id}")))
    }

    fn attempt(self) -> Option<Attempt> {
        let stage = match self.state.as_str() {
            "requested" => Stage::Requested,
            "pending" => Stage::Pending,
            "requires_action" => Stage::RequiresAction {
                url: self.next_action_url?,
            },
            "authorised" => Stage::Authorised,
            "declined" => Stage::Declined {
                reason: self.decline_reason,
            },
            "voided" => Stage::Voided,
            "captured" => Stage::Captured {
                captured: self.captured_minor,
                refunded: self.refunded_minor,
                refunding: self.refunding_minor,
            },
            "refunded" => Stage::Refunded {
                captured: self.captured_minor,
            },
            _ => return None,
        };
        let in_flight = match (self.voiding, self.capturing_minor) {
            (true, _) => Some(InFlight::Void),
            (false, 0) => None,
            (false, minor) => Some(InFlight::Capture(minor)),
        };
        Some(Attempt {
            id: self.payment_id,
            terms: Terms {
                order_id: self.order_id?,
                user_id: self.user_id?,
                amount: Money::from_columns(self.amount_minor, &self.currency?).ok()?,
                method: self.method?.parse().ok()?,
            },
            stage,
            in_flight,
            cancelling: self.cancelling,
            created_at: self.created_at,
        })
    }
}

/// A payment, as it is now.
pub async fn find(conn: &mut PgConnection, id: PaymentId) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select payment_id as "payment_id: PaymentId", state, order_id as "order_id: OrderId",
                  user_id as "user_id: UserId", method, currency, amount_minor, captured_minor,
                  refunded_minor, capturing_minor, refunding_minor, voiding, cancelling,
                  next_action_url, decline_reason, created_at
           from payment.payments where payment_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find payment"))?;
    row.map(Row::decode).transpose()
}

/// A payment about to change: nobody else can change it, or its operations, until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: PaymentId) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select payment_id as "payment_id: PaymentId", state, order_id as "order_id: OrderId",
                  user_id as "user_id: UserId", method, currency, amount_minor, captured_minor,
                  refunded_minor, capturing_minor, refunding_minor, voiding, cancelling,
                  next_action_url, decline_reason, created_at
           from payment.payments where payment_id = $1 for update"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock payment"))?;
    row.map(Row::decode).transpose()
}

/// An operation of a payment, by its id.
pub async fn find_operation(
    conn: &mut PgConnection,
    id: PaymentId,
    operation_id: &str,
) -> Result<Option<Operation>, StoreError> {
    let row = sqlx::query!(
        "select kind, amount_minor, state, reason from payment.operations
         where payment_id = $1 and operation_id = $2",
        id.as_uuid(),
        operation_id,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find operation"))?;
    let decode = |kind: &str, minor, state: &str, reason: Option<String>| {
        let state = match (state, reason) {
            ("requested", None) => State::Requested,
            ("done", None) => State::Done,
            ("refused", Some(reason)) => State::Refused { reason },
            _ => return None,
        };
        Some(Operation {
            id: operation_id.to_owned(),
            kind: kind.parse().ok()?,
            minor,
            state,
        })
    };
    row.map(|row| {
        decode(&row.kind, row.amount_minor, &row.state, row.reason)
            .ok_or(StoreError::invalid_row(format!("payment {id}")))
    })
    .transpose()
}
