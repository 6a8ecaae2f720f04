//! Reservations and the stock that they move.
//!
//! ## Why nothing deadlocks
//! Every transaction takes the reservations' rows first, by id, and their stock rows after, in product order.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use outbox::Row;
use serde::Deserialize;
use service::{StoreError, failed};
use sqlx::PgConnection;
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, ProductId, ReservationId};

use crate::domain::listing::Prices;
use crate::domain::reservation::{
    ClaimRefusal, Command, Line, Record, Reservation, Standing, State, Step, decide,
};
use crate::domain::stock::{LOW_STOCK, Offer, Stock, StockChange, Wanted};

/// What may be wanted, as it stands.
pub struct Offers(Vec<OfferRow>);

/// Reads products, in product order. What nobody sells is absent.
///
/// The array hides in a `select` from the planner, which would otherwise plan anew for the length of each: a general plan
/// looks dearer to it than one for one row.
pub async fn offers(
    conn: &mut PgConnection,
    products: &BTreeSet<ProductId>,
) -> Result<Offers, StoreError> {
    let ids: Vec<Uuid> = products.iter().map(ProductId::as_uuid).collect();
    let rows = sqlx::query_as!(
        OfferRow,
        r#"select product_id as "product_id: ProductId", p.sku, p.title, p.prices, s.on_hand, s.reserved
           from product.stock as s join product.products as p using (product_id)
           where s.product_id = any((select $1::uuid[])::uuid[]) order by s.product_id"#,
        &ids,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("find offers"))?;
    Ok(Offers(rows))
}

impl Offers {
    /// What is wanted, at its prices in a currency.
    pub fn of(&self, wanted: &Wanted, currency: Currency) -> Result<Vec<Offer>, StoreError> {
        let is_wanted = |row: &&OfferRow| wanted.iter().any(|(id, _)| id == row.product_id);
        let rows = self.0.iter().filter(is_wanted);
        rows.map(|row| row.decode(currency)).collect()
    }

    /// Leaves to others what a reservation would hold.
    pub fn without(&mut self, held: &Reservation) {
        for line in &held.lines {
            let row = self
                .0
                .iter_mut()
                .find(|row| row.product_id == line.product_id);
            if let Some(row) = row {
                row.reserved += StockChange::Hold.reserved() * i64::from(line.quantity);
            }
        }
    }
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
    fn decode(&self, currency: Currency) -> Result<Offer, StoreError> {
        let prices = Prices::deserialize(&self.prices)
            .map_err(|_| StoreError::invalid_row(format!("product {}", self.product_id)))?;
        Ok(Offer {
            product_id: self.product_id,
            sku: self.sku.clone(),
            title: self.title.clone(),
            unit_price: prices.in_currency(currency),
            stock: Stock {
                on_hand: self.on_hand,
                reserved: self.reserved,
            },
        })
    }
}

/// What became of holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Those are stored whose ids were not taken, and so many products became low on stock by them.
    Stored {
        /// What is stored.
        ids: HashSet<ReservationId>,
        /// How many products became low.
        low: i64,
    },
    /// The stock was reserved by others since it was read: nothing is stored.
    Short,
}

/// Takes the ids, stores the lines, reserves the stock and appends `stock.low.v1` for each product that becomes low, in one
/// statement: no lock is held across a round trip, and no transaction is around it. The check `stock_reserved_on_hand` refuses
/// what is not there any more, and with it the whole statement. (Hidden arrays: see [`offers`].) Each id once.
///
/// `events` has one event for each line, used where the line makes its product low as `becomes_low` defines it, as if the holds
/// were stored one after the other. Only the statement knows the available quantity, so it sets that.
pub async fn insert_held(
    conn: &mut PgConnection,
    held: &[Reservation],
    events: &[Row],
    now: DateTime<Utc>,
) -> Result<Held, StoreError> {
    let lines = Lines::of(held);
    let events: Vec<String> = events
        .iter()
        .map(|event| event.as_str().to_owned())
        .collect();
    let ids: Vec<Uuid> = held.iter().map(|held| held.id.as_uuid()).collect();
    let currencies = held.iter().map(|held| held.currency.as_str().to_owned());
    let expiries: Vec<_> = held.iter().map(|held| held.expires_at).collect();
    let stored = sqlx::query!(
        r#"with fresh as (
             insert into product.reservations
                 (reservation_id, state, currency, expires_at, created_at, updated_at)
             select asked.reservation_id, 'held', asked.currency, asked.expires_at, $4, $4
             from unnest((select $1::uuid[]), (select $2::text[]), (select $3::timestamptz[]))
                 as asked (reservation_id, currency, expires_at)
             order by asked.reservation_id
             on conflict (reservation_id) do nothing
             returning reservation_id
         ), line as (
             select line.*, sum(line.quantity) over (partition by line.product_id order by line.n) as running
             from fresh join unnest((select $5::uuid[]), (select $6::uuid[]), (select $7::int[]), (select $8::text[]),
                                    (select $9::text[]), (select $10::bigint[]), (select $11::text[])) with ordinality
                 as line (reservation_id, product_id, quantity, sku, title, unit_minor, event, n) using (reservation_id)
         ), total as (
             select product_id, sum(quantity)::bigint as quantity from line group by product_id
         ), locked as (
             select product_id from product.stock
             where product_id in (select product_id from total) order by product_id for update
         ), reserved as (
             update product.stock as s set reserved = s.reserved + $12::bigint * total.quantity
             from locked join total using (product_id) where s.product_id = locked.product_id
             returning s.product_id, s.on_hand - s.reserved + $12::bigint * total.quantity as available_before
         ), listed as (
             insert into product.reservation_lines
                 (reservation_id, product_id, quantity, sku, title, unit_minor)
             select reservation_id, product_id, quantity, sku, title, unit_minor from line
         ), sold as (
             select event, available_before - $12::bigint * running as available, $12::bigint * quantity as quantity
             from line join reserved using (product_id)
         )
         select array(select reservation_id from fresh) as "ids!",
                (select count(product.outbox_append(jsonb_set(event::jsonb, '{data,available}', to_jsonb(available))))
                 from sold where available <= $13 and available + quantity > $13) as "low!""#,
        &ids,
        &currencies.collect::<Vec<_>>(),
        &expiries,
        now,
        &lines.reservations,
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
    .map_err(failed("insert held reservations"));
    match stored {
        Ok(row) => Ok(Held::Stored {
            ids: row.ids.into_iter().map(ReservationId::from_uuid).collect(),
            low: row.low,
        }),
        Err(error) if error.constraint() == Some("stock_reserved_on_hand") => Ok(Held::Short),
        Err(error) => Err(error),
    }
}

/// The lines of reservations as columns.
struct Lines {
    reservations: Vec<Uuid>,
    products: Vec<Uuid>,
    quantities: Vec<i32>,
    skus: Vec<String>,
    titles: Vec<String>,
    prices: Vec<i64>,
}

impl Lines {
    fn of<'a>(reservations: &'a [Reservation]) -> Self {
        let lines = || {
            let lines = |made: &'a Reservation| made.lines.iter().map(|line| (made.id, line));
            reservations.iter().flat_map(lines)
        };
        let quantity = |line: &Line| i32::try_from(line.quantity).unwrap_or(i32::MAX);
        Self {
            reservations: lines().map(|(id, _)| id.as_uuid()).collect(),
            products: lines().map(|(_, line)| line.product_id.as_uuid()).collect(),
            quantities: lines().map(|(_, line)| quantity(line)).collect(),
            skus: lines().map(|(_, line)| line.sku.clone()).collect(),
            titles: lines().map(|(_, line)| line.title.clone()).collect(),
            prices: lines().map(|(_, line)| line.unit_price.minor()).collect(),
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
        && moves(conn, id, Origin::LiveHold, (to, change), now).await?
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
                if moves(conn, id, from, (to, change), now).await? {
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

/// Sells what is held to orders, where the hold has not expired: what most claims come to. Which were sold; of the others
/// [`execute`] finds out what they are. Each id once.
pub async fn claim_live_holds(
    conn: &mut PgConnection,
    claims: &[(ReservationId, OrderId)],
    now: DateTime<Utc>,
) -> Result<HashSet<ReservationId>, StoreError> {
    let decided = claims.iter().filter_map(|(id, order)| {
        match decide(Standing::live_hold(), Command::Claim(*order), now) {
            Ok(Step::Move(to, change)) => Some((id.as_uuid(), to, change)),
            Ok(Step::Bar | Step::Nothing) | Err(_) => None,
        }
    });
    let decided: Vec<_> = decided.collect();
    let Some((_, _, change)) = decided.first().copied() else {
        return Ok(HashSet::new());
    };
    let steps: Vec<_> = decided.into_iter().map(|(id, to, _)| (id, to)).collect();
    let moved = transition(conn, &steps, Origin::LiveHold, change, now).await?;
    Ok(moved.into_iter().map(ReservationId::from_uuid).collect())
}

/// Moves one reservation. False if it is not as `from` says.
async fn moves(
    conn: &mut PgConnection,
    id: ReservationId,
    from: Origin,
    (to, change): (State, StockChange),
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let moved = transition(conn, &[(id.as_uuid(), to)], from, change, now).await?;
    Ok(!moved.is_empty())
}

/// Moves reservations to states of one name, and the stock of their lines with them, in one statement. Which were as `from` says.
async fn transition(
    conn: &mut PgConnection,
    to: &[(Uuid, State)],
    from: Origin,
    change: StockChange,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let Some((_, name)) = to.first() else {
        return Ok(Vec::new());
    };
    let (state, expires_after) = match from {
        Origin::State(state) => (state, None),
        Origin::LiveHold => (State::Held, Some(now)),
    };
    let ids: Vec<Uuid> = to.iter().map(|(id, _)| *id).collect();
    let order = |to: State| to.order_id().map(|order| order.as_uuid());
    let orders: Vec<Option<Uuid>> = to.iter().map(|(_, to)| order(*to)).collect();
    sqlx::query_scalar!(
        r#"with moved as (
             update product.reservations
             set state = $3, order_id = ($4::uuid[])[array_position($1::uuid[], reservation_id)], updated_at = $5
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
         select reservation_id from moved"#,
        &ids,
        state.as_str(),
        name.as_str(),
        &orders as _,
        now,
        change.on_hand(),
        change.reserved(),
        expires_after,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("move reservations"))
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
    let expired: Vec<_> = ids.into_iter().map(|id| (id, State::Expired)).collect();
    let from = Origin::State(State::Held);
    let moved = transition(conn, &expired, from, StockChange::Release, now).await?;
    Ok(u64::try_from(moved.len()).unwrap_or(u64::MAX))
}
