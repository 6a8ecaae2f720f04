//! The order that comes out of a checkout.

use chrono::{DateTime, Utc};
use outbox::Row as EventRow;
use outbox::idempotency::{Answer, Key};
use service::{StoreError, failed};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::checkout::domain::Quote;
use crate::orders::domain::{Line, Order};

/// The number of the order: the quote's. A quote that was stored by a release before it had one gets it here; it becomes a gap
/// if the order is not recorded.
pub async fn number(conn: &mut PgConnection, quote: &Quote) -> Result<String, StoreError> {
    if let Some(number) = &quote.number {
        return Ok(number.clone());
    }
    sqlx::query_scalar!(r#"select 'SF-' || nextval('orders.order_numbers') as "number!""#)
        .fetch_one(conn)
        .await
        .map_err(failed("next order number"))
}

/// What is committed with an order.
pub struct Recording<'a> {
    /// The version of the checkout.
    pub version: i64,
    /// When the checkout of an order that awaits its payment is due.
    pub lease_until: DateTime<Utc>,
    /// Published about it, if it is placed.
    pub event: Option<EventRow>,
    /// The client's response, which an order that awaited its payment has already.
    pub response: &'a Answer,
    pub key: &'a Key,
}

/// Records the order: checkout, order, lines, history, event and the client's response in one statement, so that there is no
/// transaction around it. An order that awaited its payment is placed. Stale if another driver wrote since the checkout was read.
pub async fn order(
    conn: &mut PgConnection,
    order: &Order,
    recording: Recording<'_>,
) -> Result<(), StoreError> {
    let Recording {
        version,
        lease_until,
        event,
        response,
        key,
    } = recording;
    let lines = Lines::of(order);
    let recorded = sqlx::query!(
        r#"with checkout as (
             update orders.checkouts
             set stage = $21, attempts = 0, version = version + 1, updated_at = $3, lease_until = $22
             where checkout_id = $1 and version = $2 and stage in ('reserved', 'awaiting_payment', 'authorised')
             returning checkout_id, user_id, payment_id, reservation_id
         ), recorded as (
             insert into orders.orders as o
                 (order_id, number, user_id, email, stage, currency, total_minor, address, payment_id, reservation_id,
                  next_action, placed_at)
             select checkout_id, $4, user_id, $5, $21, $6, $7, $8, payment_id, reservation_id, $23, $3 from checkout
             on conflict (order_id) do update
             set stage = excluded.stage, next_action = null, version = o.version + 1
             where o.stage = 'awaiting_payment'
             returning order_id
         ), listed as (
             insert into orders.lines (order_id, line, product_id, sku, title, quantity, unit_minor)
             select recorded.order_id, line.line, line.product_id, line.sku, line.title, line.quantity, line.unit_minor
             from recorded, unnest($9::uuid[], $10::text[], $11::text[], $12::integer[], $13::bigint[])
                 with ordinality as line (product_id, sku, title, quantity, unit_minor, line)
             on conflict (order_id, line) do nothing
         ), milestone as (
             insert into orders.history (order_id, stage, at) select order_id, $21, $3 from recorded
         )
         select case when $14::text is not null then orders.outbox_append($14::text::jsonb) end as event_id,
                orders.idempotency_finish($15, $16, $17, $18, $19, $20, $24) as answered
         from recorded"#,
        order.id.as_uuid(),
        version,
        order.placed_at,
        order.number,
        order.email,
        order.total.currency().as_str(),
        order.total.minor(),
        Json(&order.address) as _,
        &lines.products,
        &lines.skus,
        &lines.titles,
        &lines.quantities,
        &lines.minors,
        event.as_ref().map(EventRow::as_str),
        key.caller,
        key.route,
        key.key,
        key.fingerprint,
        i16::try_from(response.status).unwrap_or(500),
        response.location,
        order.stage.as_str(),
        lease_until,
        order.stage.next_action().map(Json) as _,
        response.body,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("record order"))?;
    recorded
        .map(|_| ())
        .ok_or(StoreError::stale(format_args!("order {}", order.id)))
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
