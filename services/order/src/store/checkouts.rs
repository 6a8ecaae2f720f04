//! Checkouts: durable, leased, fenced by their version.

use chrono::{DateTime, Utc};
use outbox::idempotency::Key;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use vocabulary::{OrderId, PaymentId, ReservationId, UserId};

use super::{StoreError, failed};
use crate::domain::cart::{Cart, Frozen};
use crate::domain::checkout::{Checkout, Refusal, Stage};

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
        let bad = || StoreError::BadRow(self.checkout_id);
        let frozen = || read::<Frozen>(self.frozen.as_ref()).ok_or_else(bad);
        let refusal = || read::<Refusal>(self.refusal.as_ref()).ok_or_else(bad);
        let stage = match self.stage.as_str() {
            "started" => Stage::Started,
            "reserved" => Stage::Reserved(frozen()?),
            "authorised" => Stage::Authorised(frozen()?),
            "placed" => Stage::Placed,
            "voiding" => Stage::Voiding(refusal()?),
            "releasing" => Stage::Releasing(refusal()?),
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
            stage,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            version: self.version,
            traceparent: self.traceparent,
        })
    }
}

/// How a checkout began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The key is taken for it, and it is written down.
    Begun,
    /// The key is taken, but has a checkout that is still going forward: that one is to be joined, not doubled.
    Twin,
    /// The key was taken before.
    KeyTaken,
}

/// Takes the key as [`outbox::idempotency::begin`] does, and stores the checkout, leased to its maker: one statement, so
/// that there is no transaction around it.
pub async fn start(
    conn: &mut PgConnection,
    checkout: &Checkout,
    key: &Key,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Start, StoreError> {
    let row = sqlx::query!(
        r#"with claim as materialized (
             select orders.idempotency_claim($11, $12, $5, $13, $10) as claimed
         ), begun as (
             insert into orders.checkouts
                 (checkout_id, stage, user_id, reservation_id, payment_id, idempotency_key, request, lease_until,
                  version, traceparent, created_at, updated_at)
             select $1, 'started', $2, $3, $4, $5, $6, $7, $8, $9, $10, $10 from claim
             where claimed and not exists (
                 select from orders.checkouts
                 where user_id = $2 and idempotency_key = $5 and stage in ('started', 'reserved', 'authorised'))
             returning checkout_id
         )
         select claimed as "claimed!", exists (select from begun) as "begun!" from claim"#,
        checkout.id.as_uuid(),
        checkout.user_id.as_uuid(),
        checkout.reservation_id.as_uuid(),
        checkout.payment_id.as_uuid(),
        checkout.key,
        Json(&checkout.cart) as _,
        lease_until,
        checkout.version,
        checkout.traceparent,
        now,
        key.caller,
        key.route,
        key.fingerprint,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("start checkout"))?;
    Ok(match (row.claimed, row.begun) {
        (false, _) => Start::KeyTaken,
        (true, false) => Start::Twin,
        (true, true) => Start::Begun,
    })
}

/// Stores where the checkout stands now, renews its lease and forgets failed attempts. The new version.
pub async fn advance(
    conn: &mut PgConnection,
    checkout: &Checkout,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let frozen = checkout.stage.frozen().map(Json);
    let refusal = checkout.stage.refusal().map(Json);
    sqlx::query_scalar!(
        "update orders.checkouts
         set stage = $3, frozen = coalesce($4, frozen), refusal = $5, attempts = 0, lease_until = $6,
             version = version + 1, updated_at = $7
         where checkout_id = $1 and version = $2 and stage not in ('placed', 'failed')
         returning version",
        checkout.id.as_uuid(),
        checkout.version,
        checkout.stage.as_str(),
        frozen as _,
        refusal as _,
        lease_until,
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("advance checkout"))?
    .ok_or(StoreError::Stale(checkout.id))
}

/// Puts the checkout off where it stands: nobody drives it until `until`, then anybody may.
pub async fn postpone(
    conn: &mut PgConnection,
    checkout: &Checkout,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "update orders.checkouts
         set stage = $6, attempts = $3, lease_until = $4, version = version + 1, updated_at = $5
         where checkout_id = $1 and version = $2",
        checkout.id.as_uuid(),
        checkout.version,
        i32::try_from(checkout.attempts).unwrap_or(i32::MAX),
        until,
        now,
        checkout.stage.as_str(),
    )
    .execute(conn)
    .await
    .map_err(failed("postpone checkout"))?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale(checkout.id))
    }
}

/// Takes over the checkout that a key began, if it still goes forward and nobody drives it.
pub async fn take_by_key(
    conn: &mut PgConnection,
    user_id: UserId,
    key: &str,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Option<Checkout>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"update orders.checkouts
           set lease_until = $4, version = version + 1, updated_at = $3
           where user_id = $1 and idempotency_key = $2 and lease_until <= $3
             and stage in ('started', 'reserved', 'authorised')
           returning checkout_id as "checkout_id: OrderId", stage, user_id as "user_id: UserId",
                     reservation_id as "reservation_id: ReservationId", payment_id as "payment_id: PaymentId",
                     idempotency_key, request, frozen,
                     refusal, attempts, version, traceparent"#,
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

/// Takes over up to `most` open checkouts that nobody drives. Several sweepers share the work.
pub async fn take_due(
    conn: &mut PgConnection,
    most: i64,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Vec<Checkout>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"update orders.checkouts c
           set lease_until = $3, version = c.version + 1, updated_at = $2
           from (
               select checkout_id from orders.checkouts
               where lease_until <= $2 and stage not in ('placed', 'failed')
               order by lease_until limit $1
               for update skip locked
           ) due
           where c.checkout_id = due.checkout_id
           returning c.checkout_id as "checkout_id: OrderId", c.stage, c.user_id as "user_id: UserId",
                     c.reservation_id as "reservation_id: ReservationId", c.payment_id as "payment_id: PaymentId",
                     c.idempotency_key, c.request, c.frozen,
                     c.refusal, c.attempts, c.version, c.traceparent"#,
        most,
        now,
        lease_until,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("take due checkouts"))?;
    // A row that makes no sense must not hold up those that were taken with it; its lease brings it back here, loudly.
    let decoded = rows.into_iter().filter_map(|row| match row.decode() {
        Ok(checkout) => Some(checkout),
        Err(error) => {
            tracing::error!(%error, "a checkout cannot be resumed");
            None
        }
    });
    Ok(decoded.collect())
}

/// How many checkouts are open, and since when the oldest of them.
pub async fn count_open(
    conn: &mut PgConnection,
) -> Result<(i64, Option<DateTime<Utc>>), StoreError> {
    let row = sqlx::query!(
        r#"select count(*) as "open!", min(created_at) as oldest
           from orders.checkouts where stage not in ('placed', 'failed')"#
    )
    .fetch_one(conn)
    .await
    .map_err(failed("count open checkouts"))?;
    Ok((row.open, row.oldest))
}
