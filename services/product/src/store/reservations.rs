//! Reservations and the stock that they move.
//!
//! ## Why nothing deadlocks
//! Every transaction takes the reservation's row first and its stock rows after, in product order.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, ProductId, ReservationId};

use super::{StoreError, failed};
use crate::domain::listing::Prices;
use crate::domain::stock::{Line, Offer, Reservation, State, Stock, Wanted};

/// What is known about a reservation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It was released before it was asked for: it must never hold anything.
    Tombstone,
    /// It was asked for.
    Reservation(Reservation),
}

/// Takes an id. False if it is taken already; waits for a transaction that is taking it.
pub async fn insert(
    conn: &mut PgConnection,
    id: ReservationId,
    currency: Currency,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into product.reservations
             (reservation_id, state, currency, expires_at, created_at, updated_at)
         values ($1, 'held', $2, $3, $4, $4) on conflict (reservation_id) do nothing",
        id.as_uuid(),
        currency.as_str(),
        expires_at,
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("insert reservation"))?;
    Ok(done.rows_affected() == 1)
}

/// What is wanted, as it stands, in product order. What nobody sells is absent.
///
/// The array hides in a `select` from the planner, which would otherwise plan anew for the length of each: a general plan
/// looks dearer to it than one for one row.
pub async fn offers(
    conn: &mut PgConnection,
    wanted: &Wanted,
    currency: Currency,
) -> Result<Vec<Offer>, StoreError> {
    let rows = sqlx::query_as!(
        OfferRow,
        r#"select product_id as "product_id: ProductId", p.sku, p.title, p.prices, s.on_hand, s.reserved
           from product.stock as s join product.products as p using (product_id)
           where s.product_id = any((select $1::uuid[])::uuid[]) order by s.product_id"#,
        &ids(wanted),
    )
    .fetch_all(conn)
    .await
    .map_err(failed("find offers"))?;
    rows.into_iter().map(|row| row.decode(currency)).collect()
}

/// The same, with the stock under lock.
pub async fn lock_offers(
    conn: &mut PgConnection,
    wanted: &Wanted,
    currency: Currency,
) -> Result<Vec<Offer>, StoreError> {
    let rows = sqlx::query_as!(
        OfferRow,
        r#"select product_id as "product_id: ProductId", p.sku, p.title, p.prices, s.on_hand, s.reserved
           from product.stock as s join product.products as p using (product_id)
           where s.product_id = any($1) order by s.product_id for update of s"#,
        &ids(wanted),
    )
    .fetch_all(conn)
    .await
    .map_err(failed("lock offers"))?;
    rows.into_iter().map(|row| row.decode(currency)).collect()
}

fn ids(wanted: &Wanted) -> Vec<Uuid> {
    let products = wanted.iter();
    products.map(|(product, _)| product.as_uuid()).collect()
}

struct OfferRow {
    product_id: ProductId,
    sku: String,
    title: String,
    prices: serde_json::Value,
    on_hand: i64,
    reserved: i64,
}

impl OfferRow {
    fn decode(self, currency: Currency) -> Result<Offer, StoreError> {
        let prices: Prices = serde_json::from_value(self.prices)
            .map_err(|_| StoreError::BadProduct(self.product_id))?;
        Ok(Offer {
            product_id: self.product_id,
            sku: self.sku,
            title: self.title,
            unit_price: prices.in_currency(currency),
            stock: Stock {
                on_hand: self.on_hand,
                reserved: self.reserved,
            },
        })
    }
}

/// Takes the id, stores the lines and promises the stock, in one statement: no lock is held across a round trip, and no
/// transaction is around it. False if the id is taken: nothing is stored then. The check `stock_reserved_on_hand` refuses
/// what is not there any more, and with it the whole statement. (Hidden arrays: see [`offers`].)
pub async fn insert_held(
    conn: &mut PgConnection,
    held: &Reservation,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let lines = Lines::of(held);
    let done = sqlx::query!(
        "with fresh as (
             insert into product.reservations
                 (reservation_id, state, currency, expires_at, created_at, updated_at)
             values ($1, 'held', $2, $3, $4, $4) on conflict (reservation_id) do nothing
             returning reservation_id
         ), line as (
             select fresh.reservation_id, line.*
             from fresh, unnest((select $5::uuid[]), (select $6::int[]), (select $7::text[]), (select $8::text[]),
                                (select $9::bigint[]))
                 as line (product_id, quantity, sku, title, unit_minor)
         ), locked as (
             select product_id from product.stock
             where product_id in (select product_id from line) order by product_id for update
         ), promised as (
             update product.stock as s set reserved = s.reserved + line.quantity
             from locked join line using (product_id) where s.product_id = locked.product_id
         )
         insert into product.reservation_lines
             (reservation_id, product_id, quantity, sku, title, unit_minor)
         select reservation_id, product_id, quantity, sku, title, unit_minor from line",
        held.id.as_uuid(),
        held.currency.as_str(),
        held.expires_at,
        now,
        &lines.products,
        &lines.quantities,
        &lines.skus,
        &lines.titles,
        &lines.prices,
    )
    .execute(conn)
    .await
    .map_err(failed("insert held reservation"))?;
    Ok(done.rows_affected() > 0)
}

/// Lines as columns.
struct Lines {
    products: Vec<Uuid>,
    quantities: Vec<i32>,
    skus: Vec<String>,
    titles: Vec<String>,
    prices: Vec<i64>,
}

impl Lines {
    fn of(reservation: &Reservation) -> Self {
        let lines = || reservation.lines.iter();
        let quantity = |line: &Line| i32::try_from(line.quantity).unwrap_or(i32::MAX);
        Self {
            products: lines().map(|line| line.product_id.as_uuid()).collect(),
            quantities: lines().map(quantity).collect(),
            skus: lines().map(|line| line.sku.clone()).collect(),
            titles: lines().map(|line| line.title.clone()).collect(),
            prices: lines().map(|line| line.unit_price.minor()).collect(),
        }
    }
}

/// Stores the lines and promises the stock, whose rows are locked, in one statement.
pub async fn hold(conn: &mut PgConnection, reservation: &Reservation) -> Result<(), StoreError> {
    let lines = Lines::of(reservation);
    sqlx::query!(
        "with line as (
             select * from unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::bigint[])
                 as line (product_id, quantity, sku, title, unit_minor)
         ), promised as (
             update product.stock as s set reserved = s.reserved + line.quantity
             from line where s.product_id = line.product_id
         )
         insert into product.reservation_lines
             (reservation_id, product_id, quantity, sku, title, unit_minor)
         select $1, product_id, quantity, sku, title, unit_minor from line",
        reservation.id.as_uuid(),
        &lines.products,
        &lines.quantities,
        &lines.skus,
        &lines.titles,
        &lines.prices,
    )
    .execute(conn)
    .await
    .map_err(failed("hold stock"))?;
    Ok(())
}

/// A reservation, as it stands.
pub async fn find(
    conn: &mut PgConnection,
    id: ReservationId,
) -> Result<Option<Record>, StoreError> {
    let rows = sqlx::query!(
        r#"select r.state, r.currency, r.expires_at, r.order_id as "order_id: OrderId",
                  l.product_id as "product_id?: ProductId", l.quantity as "quantity?",
                  l.sku as "sku?", l.title as "title?", l.unit_minor as "unit_minor?"
           from product.reservations as r left join product.reservation_lines as l using (reservation_id)
           where r.reservation_id = $1 order by l.product_id"#,
        id.as_uuid(),
    )
    .fetch_all(conn)
    .await
    .map_err(failed("find reservation"))?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let bad = || StoreError::BadReservation(id);
    let (Some(currency), Some(expires_at)) = (first.currency.as_deref(), first.expires_at) else {
        return Ok(Some(Record::Tombstone));
    };
    let currency: Currency = currency.parse().map_err(|_| bad())?;
    let state = match (first.state.as_str(), first.order_id) {
        ("held", None) => State::Held,
        ("claimed", Some(order_id)) => State::Claimed { order_id },
        ("restocked", Some(order_id)) => State::Restocked { order_id },
        ("released", None) => State::Released,
        ("expired", None) => State::Expired,
        _ => return Err(bad()),
    };
    let lines = rows.into_iter().map(|row| {
        Some(Line {
            product_id: row.product_id?,
            sku: row.sku?,
            title: row.title?,
            quantity: u32::try_from(row.quantity?).ok()?,
            unit_price: Money::new(row.unit_minor?, currency),
        })
    });
    Ok(Some(Record::Reservation(Reservation {
        id,
        state,
        currency,
        expires_at,
        lines: lines.collect::<Option<_>>().ok_or_else(bad)?,
    })))
}

/// Sells what is held, if the hold still stands, in one statement. False if it does not: nothing is sold then.
pub async fn claim(
    conn: &mut PgConnection,
    id: ReservationId,
    order: OrderId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "with claimed as (
             update product.reservations set state = 'claimed', order_id = $2, updated_at = $3
             where reservation_id = $1 and state = 'held' and expires_at > $3
             returning reservation_id
         ), line as (
             select product_id, quantity from product.reservation_lines join claimed using (reservation_id)
         ), locked as (
             select product_id from product.stock
             where product_id in (select product_id from line) order by product_id for update
         )
         update product.stock as s
         set on_hand = s.on_hand - line.quantity, reserved = s.reserved - line.quantity
         from locked join line using (product_id) where s.product_id = locked.product_id",
        id.as_uuid(),
        order.as_uuid(),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("claim reservation"))?;
    // A reservation has a line.
    Ok(done.rows_affected() > 0)
}

/// Takes the promise back, and what was sold on it; true if anything moved. A reservation that was
/// never asked for is remembered as released, so that it can never hold anything.
pub async fn release(
    conn: &mut PgConnection,
    id: ReservationId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "insert into product.reservations (reservation_id, state, created_at, updated_at)
         values ($1, 'released', $2, $2) on conflict (reservation_id) do nothing",
        id.as_uuid(),
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(failed("remember release"))?;
    let held = sqlx::query!(
        "update product.reservations set state = 'released', updated_at = $2
         where reservation_id = $1 and state = 'held'",
        id.as_uuid(),
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(failed("release reservation"))?;
    if held.rows_affected() == 1 {
        move_stock(
            conn,
            &[id.as_uuid()],
            Move {
                on_hand: 0,
                reserved: -1,
            },
        )
        .await?;
        return Ok(true);
    }
    // Claimed by a checkout that then gave up before it placed its order.
    let sold = sqlx::query!(
        "update product.reservations set state = 'restocked', updated_at = $2
         where reservation_id = $1 and state = 'claimed'",
        id.as_uuid(),
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(failed("release claimed reservation"))?;
    if sold.rows_affected() == 1 {
        move_stock(
            conn,
            &[id.as_uuid()],
            Move {
                on_hand: 1,
                reserved: 0,
            },
        )
        .await?;
    }
    Ok(sold.rows_affected() == 1)
}

/// Puts what was sold to an order back; false if it is back already, or never was sold.
pub async fn restock(
    conn: &mut PgConnection,
    id: ReservationId,
    order: OrderId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update product.reservations set state = 'restocked', updated_at = $3
         where reservation_id = $1 and state = 'claimed' and order_id = $2",
        id.as_uuid(),
        order.as_uuid(),
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(failed("restock reservation"))?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    move_stock(
        conn,
        &[id.as_uuid()],
        Move {
            on_hand: 1,
            reserved: 0,
        },
    )
    .await?;
    Ok(true)
}

/// Takes back holds that ran out, at most `limit`; how many.
pub async fn expire(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    // Rows that somebody is claiming or releasing right now are theirs.
    let ids = sqlx::query_scalar!(
        "update product.reservations set state = 'expired', updated_at = $1
         where reservation_id in (
             select reservation_id from product.reservations
             where state = 'held' and expires_at <= $1
             order by expires_at limit $2 for update skip locked
         ) returning reservation_id",
        now,
        limit,
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(failed("expire reservations"))?;
    if !ids.is_empty() {
        move_stock(
            conn,
            &ids,
            Move {
                on_hand: 0,
                reserved: -1,
            },
        )
        .await?;
    }
    Ok(ids.len() as u64)
}

/// How many times the quantity of a line is added.
struct Move {
    on_hand: i64,
    reserved: i64,
}

async fn move_stock(
    conn: &mut PgConnection,
    reservations: &[Uuid],
    by: Move,
) -> Result<(), StoreError> {
    // Locks first and in order: the update below takes rows in whatever order its plan has.
    sqlx::query!(
        "select from product.stock where product_id in (
             select product_id from product.reservation_lines where reservation_id = any($1)
         ) order by product_id for update",
        reservations,
    )
    .execute(&mut *conn)
    .await
    .map_err(failed("lock stock"))?;
    sqlx::query!(
        "update product.stock as s
         set on_hand = s.on_hand + $2 * line.quantity, reserved = s.reserved + $3 * line.quantity
         from (
             select product_id, sum(quantity)::bigint as quantity from product.reservation_lines
             where reservation_id = any($1) group by product_id
         ) as line
         where s.product_id = line.product_id",
        reservations,
        by.on_hand,
        by.reserved,
    )
    .execute(conn)
    .await
    .map_err(failed("move stock"))?;
    Ok(())
}
