//! Reservations and the stock that they move.
//!
//! ## Why nothing deadlocks
//! Every transaction takes the reservation's row first and its stock rows after, in product order.

use chrono::{DateTime, Utc};
use outbox::Row;
use service::{StoreError, failed};
use sqlx::PgConnection;
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, ProductId, ReservationId};

use crate::domain::listing::Prices;
use crate::domain::reservation::{
    ClaimRefusal, Command, Line, Record, Reservation, Standing, State, Step, decide,
};
use crate::domain::stock::{LOW_STOCK, Offer, Stock, StockChange, Wanted};

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
            .map_err(|_| StoreError::invalid_row(format!("product {}", self.product_id)))?;
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

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is stored, and so many products became low on stock by it.
    Stored {
        /// How many products became low.
        low: i64,
    },
    /// The id is taken: nothing is stored.
    Taken,
    /// The stock was reserved by others since it was read: nothing is stored.
    Short,
}

/// Takes the id, stores the lines, reserves the stock and appends `stock.low.v1` for each product that becomes low, in one
/// statement: no lock is held across a round trip, and no transaction is around it. The check `stock_reserved_on_hand` refuses
/// what is not there any more, and with it the whole statement. (Hidden arrays: see [`offers`].)
///
/// `events` has one event for each line, used where the line makes its product low as `becomes_low` defines it. Only the
/// statement knows the available quantity, so it sets that.
pub async fn insert_held(
    conn: &mut PgConnection,
    held: &Reservation,
    events: &[Row],
    now: DateTime<Utc>,
) -> Result<Held, StoreError> {
    let lines = Lines::of(held);
    let events: Vec<String> = events
        .iter()
        .map(|event| event.as_str().to_owned())
        .collect();
    let stored = sqlx::query!(
        r#"with fresh as (
             insert into product.reservations
                 (reservation_id, state, currency, expires_at, created_at, updated_at)
             values ($1, 'held', $2, $3, $4, $4) on conflict (reservation_id) do nothing
             returning reservation_id
         ), line as (
             select fresh.reservation_id, line.*
             from fresh, unnest((select $5::uuid[]), (select $6::int[]), (select $7::text[]), (select $8::text[]),
                                (select $9::bigint[]), (select $10::text[]))
                 as line (product_id, quantity, sku, title, unit_minor, event)
         ), locked as (
             select product_id from product.stock
             where product_id in (select product_id from line) order by product_id for update
         ), reserved as (
             update product.stock as s set reserved = s.reserved + $11::bigint * line.quantity
             from locked join line using (product_id) where s.product_id = locked.product_id
             returning s.on_hand - s.reserved as available, $11::bigint * line.quantity as quantity, line.event
         ), listed as (
             insert into product.reservation_lines
                 (reservation_id, product_id, quantity, sku, title, unit_minor)
             select reservation_id, product_id, quantity, sku, title, unit_minor from line
         )
         select exists (select from fresh) as "fresh!",
                count(product.outbox_append(jsonb_set(event::jsonb, '{data,available}', to_jsonb(available)))) as "low!"
         from reserved where available <= $12 and available + quantity > $12"#,
        held.id.as_uuid(),
        held.currency.as_str(),
        held.expires_at,
        now,
        &lines.products,
        &lines.quantities,
        &lines.skus,
        &lines.titles,
        &lines.prices,
        &events,
        StockChange::Hold.reserved(),
        LOW_STOCK,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("insert held reservation"));
    match stored {
        Ok(row) if row.fresh => Ok(Held::Stored { low: row.low }),
        Ok(_) => Ok(Held::Taken),
        Err(error) if error.constraint() == Some("stock_reserved_on_hand") => Ok(Held::Short),
        Err(error) => Err(error),
    }
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
    let bad = || StoreError::invalid_row(format!("reservation {id}"));
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

/// What executing a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reservation moved, and the stock of its lines with it.
    Moved(StockChange),
    /// It was done before, or there was nothing to do.
    Unchanged,
    /// Nothing was sold.
    Refused(ClaimRefusal),
}

/// Attempts to write what was decided, if others keep changing the reservation. Its states form no cycle, so each of its
/// few transitions can interfere once.
const ATTEMPTS: u32 = 5;

/// Reads a reservation, decides, and writes the decision if the reservation is still as it was read.
///
/// What a claim nearly always meets, a hold that has not expired, is assumed before anything is read: then
/// the claim is one statement.
pub async fn execute(
    conn: &mut PgConnection,
    id: ReservationId,
    command: Command,
    now: DateTime<Utc>,
) -> Result<Outcome, StoreError> {
    if let Command::Claim(_) = command
        && let Ok(Step::Move(to, change)) = decide(Standing::live_hold(), command, now)
        && transition(conn, &[id.as_uuid()], Origin::LiveHold, (to, change), now).await? == 1
    {
        return Ok(Outcome::Moved(change));
    }
    for _ in 0..ATTEMPTS {
        let record = find(conn, id).await?;
        let step = match decide(Standing::of(record.as_ref()), command, now) {
            Ok(step) => step,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        match (step, record) {
            (Step::Move(to, change), Some(Record::Reservation(found))) => {
                let from = Origin::State(found.state);
                if transition(conn, &[id.as_uuid()], from, (to, change), now).await? == 1 {
                    return Ok(Outcome::Moved(change));
                }
            }
            (Step::Bar, _) => {
                if insert_tombstone(conn, id, now).await? {
                    return Ok(Outcome::Unchanged);
                }
            }
            (Step::Nothing | Step::Move(..), _) => return Ok(Outcome::Unchanged),
        }
    }
    Err(StoreError::stale(format!("reservation {id}")))
}

/// What reservations are moved from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A state.
    State(State),
    /// A hold that has not expired.
    LiveHold,
}

/// Moves reservations, and the stock of their lines with them, in one statement. How many were as `from` says.
async fn transition(
    conn: &mut PgConnection,
    ids: &[Uuid],
    from: Origin,
    (to, change): (State, StockChange),
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let (state, expires_after) = match from {
        Origin::State(state) => (state, None),
        Origin::LiveHold => (State::Held, Some(now)),
    };
    sqlx::query_scalar!(
        r#"with moved as (
             update product.reservations set state = $3, order_id = $4, updated_at = $5
             where reservation_id = any($1) and state = $2 and ($8::timestamptz is null or expires_at > $8)
             returning reservation_id
         ), line as (
             select product_id, sum(quantity)::bigint as quantity
             from product.reservation_lines join moved using (reservation_id) group by product_id
         ), locked as (
             select product_id from product.stock
             where product_id in (select product_id from line) order by product_id for update
         ), changed as (
             update product.stock as s
             set on_hand = s.on_hand + $6 * line.quantity, reserved = s.reserved + $7 * line.quantity
             from locked join line using (product_id) where s.product_id = locked.product_id
         )
         select count(*) as "moved!" from moved"#,
        ids,
        state.as_str(),
        to.as_str(),
        to.order_id().map(|order| order.as_uuid()),
        now,
        change.on_hand(),
        change.reserved(),
        expires_after,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("move reservation"))
}

/// Remembers that an id must never hold anything. False if it is taken.
async fn insert_tombstone(
    conn: &mut PgConnection,
    id: ReservationId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into product.reservations (reservation_id, state, created_at, updated_at)
         values ($1, 'released', $2, $2) on conflict (reservation_id) do nothing",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("bar reservation"))?;
    Ok(done.rows_affected() == 1)
}

/// Expires holds whose time is over, at most `limit`; how many. To be called in a transaction.
pub async fn expire(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    // Rows that are being claimed or released right now are left to that.
    let ids = sqlx::query_scalar!(
        "select reservation_id from product.reservations
         where state = 'held' and expires_at <= $1
         order by expires_at limit $2 for update skip locked",
        now,
        limit,
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(failed("find expired reservations"))?;
    let expiry = (State::Expired, StockChange::Release);
    let moved = transition(conn, &ids, Origin::State(State::Held), expiry, now).await?;
    Ok(moved.unsigned_abs())
}
