//! Checkouts: durable, leased, fenced by their version.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use outbox::idempotency::Key;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service::{StoreError, failed};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;
use vocabulary::{OrderId, PaymentId, ReservationId, UserId};

use crate::cart::domain::Cart;
use crate::checkout::domain::{Checkout, Persisted, Quote, Refusal, Stage, Undo};

struct Row {
    checkout_id: OrderId,
    stage: String,
    user_id: UserId,
    reservation_id: ReservationId,
    payment_id: PaymentId,
    idempotency_key: String,
    request: Value,
    frozen: Option<Value>,
    refusal: Option<Value>,
    attempts: i32,
    version: i64,
    traceparent: Option<String>,
}

/// JSON is read row by row: decoded as a column, one bad row would fail the statement.
fn read<T: DeserializeOwned>(json: Option<&Value>) -> Option<T> {
    T::deserialize(json?).ok()
}

impl Row {
    fn decode(self) -> Result<Checkout, StoreError> {
        let bad = || StoreError::invalid_row(format_args!("checkout {}", self.checkout_id));
        let quote = || read::<Quote>(self.frozen.as_ref()).ok_or_else(bad);
        let refusal = || read::<Refusal>(self.refusal.as_ref()).ok_or_else(bad);
        let stage = match self.stage.as_str() {
            "started" => Stage::Started,
            "reserved" => Stage::Reserved(quote()?),
            "awaiting_payment" => Stage::AwaitingPayment(quote()?),
            "authorised" => Stage::Authorised(quote()?),
            "placed" => Stage::Placed,
            "voiding" => Stage::Undoing(Undo::Void, refusal()?),
            "releasing" => Stage::Undoing(Undo::Release, refusal()?),
            "failed" => Stage::Failed(refusal()?),
            _ => return Err(bad()),
        };
        let cart = read::<Cart>(Some(&self.request)).ok_or_else(bad)?;
        Ok(Checkout {
            id: self.checkout_id,
            user_id: self.user_id,
            reservation_id: self.reservation_id,
            payment_id: self.payment_id,
            key: self.idempotency_key,
            cart,
            persisted: Persisted {
                stage,
                attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            },
            version: self.version,
            traceparent: self.traceparent,
        })
    }
}

/// Result of starting a checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The key is claimed, and the checkout is stored.
    Started,
    /// The key is claimed, but has a checkout that is still going forward: that one is to be taken over, not doubled.
    Twin,
    /// The key was claimed before.
    KeyTaken,
}

/// A checkout to be stored under its key.
#[derive(Debug, Clone)]
pub struct Starting {
    pub checkout: Checkout,
    pub key: Key,
}

/// Claims keys as [`outbox::idempotency::begin`] does, and stores the checkouts, leased to their makers: one statement, so that
/// there is no transaction around it. In the order of their keys: two statements with the same keys wait for each other.
/// (Conditions that are always true, and an offset of nothing: see [`save_all`].)
pub async fn start(
    conn: &mut PgConnection,
    starting: &[Starting],
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<HashMap<OrderId, Start>, StoreError> {
    let Some(route) = starting.first().map(|one| one.key.route) else {
        return Ok(HashMap::new());
    };
    let columns = StartColumns::of(starting);
    let rows = sqlx::query!(
        r#"with claim as materialized (
             select asked.*, orders.idempotency_claim(asked.caller, $11, asked.key, asked.fingerprint, $12) as claimed
             from unnest((select $1::uuid[]), (select $2::uuid[]), (select $3::uuid[]), (select $4::uuid[]), (select $5::text[]),
                         (select $6::jsonb[]), (select $7::bigint[]), (select $8::text[]), (select $9::text[]),
                         (select $10::bytea[]))
                 as asked (checkout_id, user_id, reservation_id, payment_id, key, request, version, traceparent, caller,
                           fingerprint)
             where asked.version > 0 and asked.key >= ''
         ), started as (
             insert into orders.checkouts
                 (checkout_id, stage, user_id, reservation_id, payment_id, idempotency_key, request, lease_until,
                  version, traceparent, created_at, updated_at)
             select checkout_id, 'started', user_id, reservation_id, payment_id, key, request, $13, version, traceparent, $12, $12
             from claim
             where claimed and not exists (
                 select from orders.checkouts as c
                 where c.user_id = claim.user_id and c.idempotency_key = claim.key
                   and c.stage in ('started', 'reserved', 'awaiting_payment', 'authorised') offset 0)
             returning checkout_id
         )
         select checkout_id as "id!: OrderId", claimed as "claimed!",
                checkout_id in (select checkout_id from started) as "started!"
         from claim"#,
        &columns.ids,
        &columns.users,
        &columns.reservations,
        &columns.payments,
        &columns.keys,
        &columns.requests as _,
        &columns.versions,
        &columns.traceparents as _,
        &columns.callers,
        &columns.fingerprints,
        route,
        now,
        lease_until,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("start checkouts"))?;
    let results = rows.into_iter().map(|row| {
        let result = match (row.claimed, row.started) {
            (false, _) => Start::KeyTaken,
            (true, false) => Start::Twin,
            (true, true) => Start::Started,
        };
        (row.id, result)
    });
    Ok(results.collect())
}

/// Checkouts to be stored, as columns.
struct StartColumns<'a> {
    ids: Vec<Uuid>,
    users: Vec<Uuid>,
    reservations: Vec<Uuid>,
    payments: Vec<Uuid>,
    keys: Vec<String>,
    requests: Vec<Json<&'a Cart>>,
    versions: Vec<i64>,
    traceparents: Vec<Option<String>>,
    callers: Vec<String>,
    fingerprints: Vec<Vec<u8>>,
}

impl<'a> StartColumns<'a> {
    fn of(starting: &'a [Starting]) -> Self {
        let checkouts = || starting.iter().map(|one| &one.checkout);
        let keys = || starting.iter().map(|one| &one.key);
        Self {
            ids: checkouts().map(|one| one.id.as_uuid()).collect(),
            users: checkouts().map(|one| one.user_id.as_uuid()).collect(),
            reservations: checkouts()
                .map(|one| one.reservation_id.as_uuid())
                .collect(),
            payments: checkouts().map(|one| one.payment_id.as_uuid()).collect(),
            keys: keys().map(|key| key.key.clone()).collect(),
            requests: checkouts().map(|one| Json(&one.cart)).collect(),
            versions: checkouts().map(|one| one.version).collect(),
            traceparents: checkouts().map(|one| one.traceparent.clone()).collect(),
            callers: keys().map(|key| key.caller.clone()).collect(),
            fingerprints: keys().map(|key| key.fingerprint.clone()).collect(),
        }
    }
}

/// Where a checkout is to stand, and the version that its driver has read.
#[derive(Debug, Clone)]
pub struct Saving {
    pub id: OrderId,
    pub version: i64,
    pub to: Persisted,
}

/// What the row of a checkout came to.
#[derive(Debug)]
pub struct Saved {
    version: i64,
    number: Option<String>,
}

impl Saved {
    /// The checkout stands there now.
    pub fn apply(self, checkout: &mut Checkout, mut to: Persisted) {
        if let Some(quote) = to.stage.quote_mut() {
            quote.number = self.number;
        }
        checkout.persisted = to;
        checkout.version = self.version;
    }
}

/// Stores where the checkout stands now. Nobody else drives it until `until`, then anybody may. The quote gets the order's
/// number when it is stored first. Stale if another driver wrote since the checkout was read.
pub async fn save(
    conn: &mut PgConnection,
    checkout: &mut Checkout,
    to: Persisted,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let saving = Saving {
        id: checkout.id,
        version: checkout.version,
        to: to.clone(),
    };
    let mut saved = save_all(conn, &[saving], now, until).await?;
    saved
        .remove(&checkout.id)
        .ok_or(StoreError::stale(format_args!("checkout {}", checkout.id)))?
        .apply(checkout, to);
    Ok(())
}

/// As [`save`], for several checkouts, each once. Those that are missing were written by other drivers.
///
/// The last two conditions are always true. By them the planner expects few rows, and looks them up by the index: otherwise a
/// plan that was made while the table was small would read the whole of it until it is analysed.
pub async fn save_all(
    conn: &mut PgConnection,
    savings: &[Saving],
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<HashMap<OrderId, Saved>, StoreError> {
    let stages = || savings.iter().map(|saving| &saving.to.stage);
    let ids: Vec<_> = savings.iter().map(|saving| saving.id.as_uuid()).collect();
    let versions: Vec<_> = savings.iter().map(|saving| saving.version).collect();
    let names: Vec<_> = stages().map(|stage| stage.as_str().to_owned()).collect();
    let quotes: Vec<_> = stages().map(|stage| stage.quote().map(Json)).collect();
    let refusals: Vec<_> = stages().map(|stage| stage.refusal().map(Json)).collect();
    let attempts = savings.iter().map(|saving| saving.to.attempts);
    let attempts = attempts.map(|attempts| i32::try_from(attempts).unwrap_or(i32::MAX));
    let rows = sqlx::query!(
        r#"update orders.checkouts as c
           set stage = s.stage,
               frozen = case
                   when s.quote is null then c.frozen
                   when s.quote ? 'number' then s.quote
                   else s.quote || jsonb_build_object('number', 'SF-' || nextval('orders.order_numbers')) end,
               refusal = s.refusal, attempts = s.attempts, lease_until = $7, version = c.version + 1, updated_at = $8
           from unnest((select $1::uuid[]), (select $2::bigint[]), (select $3::text[]), (select $4::jsonb[]),
                       (select $5::jsonb[]), (select $6::integer[]))
               as s (checkout_id, version, stage, quote, refusal, attempts)
           where c.checkout_id = s.checkout_id and c.version = s.version and c.stage not in ('placed', 'failed')
             and s.version > 0 and s.attempts >= 0
           returning c.checkout_id as "id: OrderId", c.version, c.frozen ->> 'number' as number"#,
        &ids,
        &versions,
        &names,
        &quotes as _,
        &refusals as _,
        &attempts.collect::<Vec<_>>(),
        until,
        now,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("save checkouts"))?;
    let saved = rows.into_iter().map(|row| {
        let (version, number) = (row.version, row.number);
        (row.id, Saved { version, number })
    });
    Ok(saved.collect())
}

/// A statement that gives checkouts as rows: what comes before their columns, and what comes behind them.
macro_rules! checkouts {
    ($before:literal, $behind:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            $before + r#" c.checkout_id as "checkout_id: OrderId", c.stage, c.user_id as "user_id: UserId",
                c.reservation_id as "reservation_id: ReservationId", c.payment_id as "payment_id: PaymentId",
                c.idempotency_key, c.request, c.frozen, c.refusal, c.attempts, c.version, c.traceparent "# + $behind,
            $($argument),+
        )
    };
}

/// Takes over the checkout that a key started, if it still goes forward and nobody drives it.
pub async fn take_by_key(
    conn: &mut PgConnection,
    user_id: UserId,
    key: &str,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Option<Checkout>, StoreError> {
    let row = checkouts!(
        "update orders.checkouts c
         set lease_until = $4, version = version + 1, updated_at = $3
         where user_id = $1 and idempotency_key = $2 and lease_until <= $3
           and stage in ('started', 'reserved', 'authorised')
         returning",
        "",
        user_id.as_uuid(),
        key,
        now,
        lease_until,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("take checkout by key"))?;
    row.map(Row::decode).transpose()
}

/// Takes over up to `most` open checkouts that nobody drives. Several replicas share the work.
pub async fn take_due(
    conn: &mut PgConnection,
    most: i64,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Vec<Checkout>, StoreError> {
    let rows = checkouts!(
        "update orders.checkouts c
         set lease_until = $3, version = c.version + 1, updated_at = $2
         from (
             select checkout_id from orders.checkouts
             where lease_until <= $2 and stage not in ('placed', 'failed')
             order by lease_until limit $1
             for update skip locked
         ) due
         where c.checkout_id = due.checkout_id
         returning",
        "",
        most,
        now,
        lease_until,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("take due checkouts"))?;
    // A bad row must not hold up those that were taken with it. Its lease brings it back here, and into the log.
    let decoded = rows.into_iter().filter_map(|row| match row.decode() {
        Ok(checkout) => Some(checkout),
        Err(error) => {
            tracing::error!(%error, "failed to decode a due checkout");
            None
        }
    });
    Ok(decoded.collect())
}

/// The checkout of an order that awaits its payment, under its lock; of this owner where one is named.
pub async fn lock_awaiting(
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<Option<Checkout>, StoreError> {
    let row = checkouts!(
        "select",
        "from orders.checkouts c
         where checkout_id = $1 and ($2::uuid is null or user_id = $2) and stage in ('awaiting_payment', 'authorised')
           and exists (select from orders.orders o where o.order_id = c.checkout_id)
         for update of c",
        id.as_uuid(),
        owner.map(|owner| owner.as_uuid()),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("lock awaiting checkout"))?;
    row.map(Row::decode).transpose()
}

/// The payment of a checkout is decided: one that waits for it is due now. A row that is being written is left alone, since its
/// driver has asked just now. True if it waited.
pub async fn wake(
    conn: &mut PgConnection,
    id: OrderId,
    payment_id: PaymentId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update orders.checkouts set lease_until = $3, attempts = 0
         where checkout_id = (
             select checkout_id from orders.checkouts
             where checkout_id = $1 and payment_id = $2 and stage = 'awaiting_payment' and lease_until > $3
             for update skip locked)",
        id.as_uuid(),
        payment_id.as_uuid(),
        now,
    )
    .execute(conn)
    .await
    .map_err(failed("wake checkout"))?;
    Ok(done.rows_affected() == 1)
}

/// Checkouts that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Those that go on by themselves.
    pub running: i64,
    /// Those whose order awaits its payment: they may take as long as a reservation lasts.
    pub awaiting_payment: i64,
    /// Start of the oldest that goes on by itself.
    pub oldest: Option<DateTime<Utc>>,
}

pub async fn count_open(conn: &mut PgConnection) -> Result<Open, StoreError> {
    sqlx::query_as!(
        Open,
        r#"select count(*) filter (where stage <> 'awaiting_payment') as "running!",
                  count(*) filter (where stage = 'awaiting_payment') as "awaiting_payment!",
                  min(created_at) filter (where stage <> 'awaiting_payment') as oldest
           from orders.checkouts where stage not in ('placed', 'failed')"#
    )
    .fetch_one(conn)
    .await
    .map_err(failed("count open checkouts"))
}
