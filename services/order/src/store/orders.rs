//! Orders with their lines and their history.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;
use vocabulary::{Money, OrderId, PaymentId, ReservationId, UserId};

use super::{StoreError, failed};
use crate::domain::cart::{Address, Frozen, Line};
use crate::domain::checkout::Checkout;
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

/// Makes the order of a claimed checkout: order, lines, history and the checkout's end in one statement. Stale if the checkout
/// is somebody else's by now.
pub async fn place(
    conn: &mut PgConnection,
    checkout: &Checkout,
    frozen: &Frozen,
    now: DateTime<Utc>,
) -> Result<Order, StoreError> {
    let lines = &frozen.lines;
    let products: Vec<Uuid> = lines.iter().map(|line| line.product_id.as_uuid()).collect();
    let skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    let titles: Vec<String> = lines.iter().map(|line| line.title.clone()).collect();
    let quantities: Vec<i32> = lines
        .iter()
        .map(|line| i32::try_from(line.quantity).unwrap_or(i32::MAX))
        .collect();
    let minors: Vec<i64> = lines.iter().map(|line| line.unit_price.minor()).collect();
    let currency = frozen.total.currency();
    let number = sqlx::query_scalar!(
        "with ended as (
             update orders.checkouts
             set stage = 'placed', attempts = 0, version = version + 1, updated_at = $3
             where checkout_id = $1 and version = $2 and stage = 'authorised'
             returning checkout_id, user_id, payment_id, reservation_id
         ), placed as (
             insert into orders.orders
                 (order_id, user_id, email, stage, currency, total_minor, address, payment_id, reservation_id, placed_at)
             select checkout_id, user_id, $4, 'placed', $5, $6, $7, payment_id, reservation_id, $3 from ended
             returning order_id, number
         ), listed as (
             insert into orders.lines (order_id, line, product_id, sku, title, quantity, unit_minor)
             select placed.order_id, line.line, line.product_id, line.sku, line.title, line.quantity, line.unit_minor
             from placed, unnest($8::uuid[], $9::text[], $10::text[], $11::integer[], $12::bigint[])
                 with ordinality as line (product_id, sku, title, quantity, unit_minor, line)
         ), told as (
             insert into orders.history (order_id, stage, at) select order_id, 'placed', $3 from placed
         )
         select number from placed",
        checkout.id.as_uuid(),
        checkout.version,
        now,
        frozen.email,
        currency.as_str(),
        frozen.total.minor(),
        Json(&checkout.cart.address) as _,
        &products,
        &skus,
        &titles,
        &quantities,
        &minors,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("place order"))?
    .ok_or(StoreError::Stale(checkout.id))?;
    Ok(Order {
        id: checkout.id,
        number,
        user_id: checkout.user_id,
        email: frozen.email.clone(),
        lines: lines.clone(),
        total: frozen.total,
        address: checkout.cart.address.clone(),
        payment_id: checkout.payment_id,
        reservation_id: checkout.reservation_id,
        placed_at: now,
        stage: Stage::Placed,
        version: 1,
    })
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

/// Stores the stage that an order has reached, and tells its history. Stale if it changed since it was read.
pub async fn reach(
    conn: &mut PgConnection,
    order: &Order,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "with reached as (
             update orders.orders
             set stage = $3, paid_at = $4, cancelled_at = $5, version = version + 1
             where order_id = $1 and version = $2
             returning order_id
         )
         insert into orders.history (order_id, stage, at) select order_id, $3, $6 from reached",
        order.id.as_uuid(),
        order.version,
        order.stage.as_str(),
        order.stage.paid_at(),
        order.stage.cancelled_at(),
        at,
    )
    .execute(conn)
    .await
    .map_err(failed("reach stage"))?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale(order.id))
    }
}
