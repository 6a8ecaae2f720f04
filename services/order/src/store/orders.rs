//! Orders with their lines and their history.

use chrono::{DateTime, Utc};
use outbox::Row as Said;
use outbox::idempotency::{Answer, Key};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;
use vocabulary::{Money, OrderId, PaymentId, ReservationId, UserId};

use super::{StoreError, failed};
use crate::domain::cart::{Address, Line};
use crate::domain::order::{Order, Stage};

/// A stage that an order reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Milestone {
    /// placed, paid or cancelled.
    pub status: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// An order and how it came to stand where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The order.
    pub order: Order,
    /// Oldest first.
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
    version: i64,
    placed_at: DateTime<Utc>,
    paid_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    lines: Json<Vec<Line>>,
    history: Json<Vec<Milestone>>,
}

impl Row {
    fn decode(self) -> Result<Told, StoreError> {
        let bad = || StoreError::BadRow(self.order_id);
        let stage = match (self.stage.as_str(), self.paid_at, self.cancelled_at) {
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
            total: Money::from_columns(self.total_minor, &self.currency)
                .map_err(|_| StoreError::BadRow(self.order_id))?,
            address: self.address.0,
            payment_id: self.payment_id,
            reservation_id: self.reservation_id,
            placed_at: self.placed_at,
            stage,
            version: self.version,
        };
        Ok(Told {
            order,
            history: self.history.0,
        })
    }
}

/// A number that no other order has. One that is not used is a gap.
pub async fn next_number(conn: &mut PgConnection) -> Result<String, StoreError> {
    sqlx::query_scalar!(r#"select 'SF-' || nextval('orders.order_numbers') as "number!""#)
        .fetch_one(conn)
        .await
        .map_err(failed("next number"))
}

/// What goes with an order into its commit.
pub struct Placement<'a> {
    /// The version of the checkout that ends with it.
    pub version: i64,
    /// What is said about it.
    pub said: Said,
    /// What the client is told.
    pub answer: &'a Answer,
    /// Under which key.
    pub key: &'a Key,
}

/// Makes the order of a claimed checkout: order, lines, history, event, the client's answer and the checkout's end in one
/// statement. Stale if the checkout is somebody else's by now.
#[expect(
    clippy::too_many_lines,
    reason = "one statement, so that there is no transaction around it"
)]
pub async fn place(
    conn: &mut PgConnection,
    order: &Order,
    with: Placement<'_>,
) -> Result<(), StoreError> {
    let Placement {
        version,
        said,
        answer,
        key,
    } = with;
    let (lines, currency) = (Lines::of(order), order.total.currency());
    let placed = sqlx::query!(
        r#"with ended as (
             update orders.checkouts
             set stage = 'placed', attempts = 0, version = version + 1, updated_at = $3
             where checkout_id = $1 and version = $2 and stage in ('reserved', 'authorised')
             returning checkout_id, user_id, payment_id, reservation_id
         ), placed as (
             insert into orders.orders
                 (order_id, number, user_id, email, stage, currency, total_minor, address, payment_id, reservation_id,
                  placed_at)
             select checkout_id, $4, user_id, $5, 'placed', $6, $7, $8, payment_id, reservation_id, $3 from ended
             returning order_id
         ), listed as (
             insert into orders.lines (order_id, line, product_id, sku, title, quantity, unit_minor)
             select placed.order_id, line.line, line.product_id, line.sku, line.title, line.quantity, line.unit_minor
             from placed, unnest($9::uuid[], $10::text[], $11::text[], $12::integer[], $13::bigint[])
                 with ordinality as line (product_id, sku, title, quantity, unit_minor, line)
         ), told as (
             insert into orders.history (order_id, stage, at) select order_id, 'placed', $3 from placed
         )
         select orders.outbox_append($14::text::jsonb) as event_id,
                orders.idempotency_finish($15, $16, $17, $18, $19, $20, $21) as answered
         from placed"#,
        order.id.as_uuid(),
        version,
        order.placed_at,
        order.number,
        order.email,
        currency.as_str(),
        order.total.minor(),
        Json(&order.address) as _,
        &lines.products,
        &lines.skus,
        &lines.titles,
        &lines.quantities,
        &lines.minors,
        said.as_str(),
        key.caller,
        key.route,
        key.key,
        key.fingerprint,
        i16::try_from(answer.status).unwrap_or(500),
        answer.location,
        answer.body,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("place order"))?;
    placed.map(|_| ()).ok_or(StoreError::Stale(order.id))
}

/// Lines as columns.
struct Lines {
    products: Vec<Uuid>,
    skus: Vec<String>,
    titles: Vec<String>,
    quantities: Vec<i32>,
    minors: Vec<i64>,
}

impl Lines {
    fn of(order: &Order) -> Self {
        let lines = || order.lines.iter();
        let quantity = |line: &Line| i32::try_from(line.quantity).unwrap_or(i32::MAX);
        Self {
            products: lines().map(|line| line.product_id.as_uuid()).collect(),
            skus: lines().map(|line| line.sku.clone()).collect(),
            titles: lines().map(|line| line.title.clone()).collect(),
            quantities: lines().map(quantity).collect(),
            minors: lines().map(|line| line.unit_price.minor()).collect(),
        }
    }
}

/// An order, of this owner where one is named.
pub async fn find(
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<Option<Told>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select order_id as "order_id: OrderId", number, user_id as "user_id: UserId", email, stage, currency,
                  total_minor, address as "address: Json<Address>", payment_id as "payment_id: PaymentId",
                  reservation_id as "reservation_id: ReservationId", version, placed_at, paid_at, cancelled_at,
                  (select jsonb_agg(jsonb_build_object('product_id', l.product_id, 'sku', l.sku, 'title', l.title,
                              'quantity', l.quantity,
                              'unit_price', jsonb_build_object('minor', l.unit_minor, 'currency', o.currency))
                          order by l.line)
                   from orders.lines l where l.order_id = o.order_id) as "lines!: Json<Vec<Line>>",
                  (select jsonb_agg(jsonb_build_object('status', h.stage, 'at', h.at)
                          order by h.at, array_position(array['placed', 'paid', 'cancelled'], h.stage))
                   from orders.history h where h.order_id = o.order_id) as "history!: Json<Vec<Milestone>>"
           from orders.orders o
           where order_id = $1 and ($2::uuid is null or user_id = $2)"#,
        id.as_uuid(),
        owner.map(|owner| owner.as_uuid()),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find order"))?;
    row.map(Row::decode).transpose()
}

/// An order about to change, of this owner where one is named: nobody else can change it until the transaction ends.
/// Without its history: a statement that waited for the lock sees the new row beside the old history.
pub async fn lock(
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<Option<Order>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select order_id as "order_id: OrderId", number, user_id as "user_id: UserId", email, stage, currency,
                  total_minor, address as "address: Json<Address>", payment_id as "payment_id: PaymentId",
                  reservation_id as "reservation_id: ReservationId", version, placed_at, paid_at, cancelled_at,
                  (select jsonb_agg(jsonb_build_object('product_id', l.product_id, 'sku', l.sku, 'title', l.title,
                              'quantity', l.quantity,
                              'unit_price', jsonb_build_object('minor', l.unit_minor, 'currency', o.currency))
                          order by l.line)
                   from orders.lines l where l.order_id = o.order_id) as "lines!: Json<Vec<Line>>",
                  '[]'::jsonb as "history!: Json<Vec<Milestone>>"
           from orders.orders o
           where order_id = $1 and ($2::uuid is null or user_id = $2)
           for update of o"#,
        id.as_uuid(),
        owner.map(|owner| owner.as_uuid()),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock order"))?;
    Ok(row.map(Row::decode).transpose()?.map(|told| told.order))
}

/// Orders, newest first, before `before`; of this owner where one is named.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select order_id as "order_id: OrderId", number, user_id as "user_id: UserId", email, stage, currency,
                  total_minor, address as "address: Json<Address>", payment_id as "payment_id: PaymentId",
                  reservation_id as "reservation_id: ReservationId", version, placed_at, paid_at, cancelled_at,
                  (select jsonb_agg(jsonb_build_object('product_id', l.product_id, 'sku', l.sku, 'title', l.title,
                              'quantity', l.quantity,
                              'unit_price', jsonb_build_object('minor', l.unit_minor, 'currency', o.currency))
                          order by l.line)
                   from orders.lines l where l.order_id = o.order_id) as "lines!: Json<Vec<Line>>",
                  (select jsonb_agg(jsonb_build_object('status', h.stage, 'at', h.at)
                          order by h.at, array_position(array['placed', 'paid', 'cancelled'], h.stage))
                   from orders.history h where h.order_id = o.order_id) as "history!: Json<Vec<Milestone>>"
           from orders.orders o
           where ($1::uuid is null or user_id = $1) and ($2::uuid is null or order_id < $2)
           order by order_id desc limit $3"#,
        owner.map(|owner| owner.as_uuid()),
        before,
        rows,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("list orders"))?;
    rows.into_iter().map(Row::decode).collect()
}

/// Stores the stage that an order has reached, tells its history and says so, in one statement. Stale if it changed since
/// it was read.
pub async fn reach(
    conn: &mut PgConnection,
    order: &Order,
    (said, at): (Said, DateTime<Utc>),
) -> Result<(), StoreError> {
    let reached = sqlx::query_scalar!(
        r#"with reached as (
             update orders.orders
             set stage = $3, paid_at = $4, cancelled_at = $5, version = version + 1
             where order_id = $1 and version = $2
             returning order_id
         ), told as (
             insert into orders.history (order_id, stage, at) select order_id, $3, $6 from reached
         )
         select orders.outbox_append($7::text::jsonb) from reached"#,
        order.id.as_uuid(),
        order.version,
        order.stage.as_str(),
        order.stage.paid_at(),
        order.stage.cancelled_at(),
        at,
        said.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("reach stage"))?;
    reached.map(|_| ()).ok_or(StoreError::Stale(order.id))
}
