//! SQL of orders.

use chrono::{DateTime, Utc};
use outbox::Row as EventRow;
use serde::{Deserialize, Serialize};
use service::{StoreError, failed};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;
use vocabulary::{Money, OrderId, PaymentId, ReservationId, UserId};

use crate::cart::domain::Address;
use crate::orders::domain::{Line, NextAction, Order, Stage};

/// A stage that an order reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    pub status: String,
    pub at: DateTime<Utc>,
}

/// An order with its history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRecord {
    pub order: Order,
    pub history: Vec<Milestone>,
}

struct Row {
    order_id: OrderId,
    number: String,
    user_id: UserId,
    email: String,
    stage: String,
    currency: String,
    total_minor: i64,
    address: Json<Address>,
    payment_id: PaymentId,
    reservation_id: ReservationId,
    next_action: Option<Json<NextAction>>,
    version: i64,
    placed_at: DateTime<Utc>,
    paid_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    lines: Json<Vec<Line>>,
    history: Json<Vec<Milestone>>,
}

impl Row {
    fn decode(self) -> Result<OrderRecord, StoreError> {
        let bad = || StoreError::invalid_row(format_args!("order {}", self.order_id));
        let stage = match (self.stage.as_str(), self.paid_at, self.cancelled_at) {
            ("awaiting_payment", None, None) => Stage::AwaitingPayment {
                next_action: self.next_action.map(|action| action.0),
            },
            ("placed", None, None) => Stage::Placed,
            ("paid", Some(paid_at), None) => Stage::Paid { paid_at },
            ("cancelled", paid_at, Some(cancelled_at)) => Stage::Cancelled {
                cancelled_at,
                paid_at,
            },
            _ => return Err(bad()),
        };
        let order = Order {
            id: self.order_id,
            number: self.number,
            user_id: self.user_id,
            email: self.email,
            lines: self.lines.0,
            total: Money::from_columns(self.total_minor, &self.currency).map_err(|_| bad())?,
            address: self.address.0,
            payment_id: self.payment_id,
            reservation_id: self.reservation_id,
            placed_at: self.placed_at,
            stage,
            version: self.version,
        };
        Ok(OrderRecord {
            order,
            history: self.history.0,
        })
    }
}

/// The one select of orders with their lines and history; the literal is the rest of the statement, behind `from`.
macro_rules! select_orders {
    ($rest:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select order_id as "order_id: OrderId", number, user_id as "user_id: UserId", email, stage, currency,
                      total_minor, address as "address: Json<Address>", payment_id as "payment_id: PaymentId",
                      reservation_id as "reservation_id: ReservationId", next_action as "next_action: Json<NextAction>",
                      version, placed_at, paid_at, cancelled_at,
                      (select jsonb_agg(jsonb_build_object('product_id', l.product_id, 'sku', l.sku, 'title', l.title,
                                  'quantity', l.quantity,
                                  'unit_price', jsonb_build_object('minor', l.unit_minor, 'currency', o.currency))
                              order by l.line)
                       from orders.lines l where l.order_id = o.order_id) as "lines!: Json<Vec<Line>>",
                      (select jsonb_agg(jsonb_build_object('status', h.stage, 'at', h.at)
                              order by h.at,
                                  array_position(array['awaiting_payment', 'placed', 'paid', 'cancelled'], h.stage))
                       from orders.history h where h.order_id = o.order_id) as "history!: Json<Vec<Milestone>>"
               from orders.orders o "# + $rest,
            $($argument),+
        )
    };
}

/// An order; of this owner where one is named.
pub async fn find(
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<Option<OrderRecord>, StoreError> {
    let row = select_orders!(
        "where order_id = $1 and ($2::uuid is null or user_id = $2)",
        id.as_uuid(),
        owner.map(|owner| owner.as_uuid()),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find order"))?;
    row.map(Row::decode).transpose()
}

/// An order that is about to change, under its lock; of this owner where one is named. Without its history: a statement that
/// waited for the lock sees the new row beside the old history.
pub async fn lock(
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<Option<Order>, StoreError> {
    let row = select_orders!(
        "where order_id = $1 and ($2::uuid is null or user_id = $2) for update of o",
        id.as_uuid(),
        owner.map(|owner| owner.as_uuid()),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock order"))?;
    Ok(row.map(Row::decode).transpose()?.map(|record| record.order))
}

/// Orders, newest first, before `before`; of this owner where one is named.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<OrderRecord>, StoreError> {
    let rows = select_orders!(
        "where ($1::uuid is null or user_id = $1) and ($2::uuid is null or order_id < $2)
         order by order_id desc limit $3",
        owner.map(|owner| owner.as_uuid()),
        before,
        rows,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("list orders"))?;
    rows.into_iter().map(Row::decode).collect()
}

/// Stores the stage that an order has reached, its history and the event, in one statement. Stale if it changed since it was read.
pub async fn advance(
    conn: &mut PgConnection,
    order: &Order,
    event: EventRow,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let advanced = sqlx::query_scalar!(
        r#"with advanced as (
             update orders.orders
             set stage = $3, paid_at = $4, cancelled_at = $5, next_action = null, version = version + 1
             where order_id = $1 and version = $2
             returning order_id
         ), milestone as (
             insert into orders.history (order_id, stage, at) select order_id, $3, $6 from advanced
         )
         select orders.outbox_append($7::text::jsonb) from advanced"#,
        order.id.as_uuid(),
        order.version,
        order.stage.as_str(),
        order.stage.paid_at(),
        order.stage.cancelled_at(),
        at,
        event.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("advance order"))?;
    advanced
        .map(|_| ())
        .ok_or(StoreError::stale(format_args!("order {}", order.id)))
}

/// What the customer of an order that awaits its payment has to do now.
pub async fn set_next_action(
    conn: &mut PgConnection,
    id: OrderId,
    action: Option<&NextAction>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update orders.orders set next_action = $2, version = version + 1
         where order_id = $1 and stage = 'awaiting_payment' and next_action is distinct from $2",
        id.as_uuid(),
        action.map(Json) as _,
    )
    .execute(conn)
    .await
    .map_err(failed("set next action"))?;
    Ok(())
}
