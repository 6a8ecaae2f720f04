//! Buyers of one product wait for one row. Those who come at the same time are stored by one statement, instead of one after the
//! other: one reads what they want, decides for each, and writes for all. Whom that does not serve is served alone.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use events::StockLow;
use outbox::Row;
use service::{Core, Gather, StoreError};
use sqlx::PgConnection;
use vocabulary::{Currency, OrderId, ReservationId};

use crate::domain::reservation::Reservation;
use crate::domain::stock::Wanted;
use crate::metrics::Metrics;
use crate::store::reservations::{self, Held};

/// A hold that is asked for.
#[derive(Debug, Clone)]
pub struct Terms {
    pub id: ReservationId,
    pub wanted: Wanted,
    pub currency: Currency,
    pub expires_at: DateTime<Utc>,
}

/// The requests of a process that wait for each other.
#[derive(Debug, Default)]
pub struct Together {
    holds: Gather<Terms, Reservation>,
    claims: Gather<(ReservationId, OrderId), ()>,
}

impl Together {
    /// Holds what is asked for, if there is enough for all that are asked for at this time. None: to be held, or refused, alone.
    pub async fn hold(&self, core: &Core, metrics: &Metrics, terms: &Terms) -> Option<Reservation> {
        let work = |asked: Vec<Terms>| async move {
            let held = hold_all(core, metrics, &asked).await;
            let mut held = held.unwrap_or_else(|error| left_alone(&error));
            let mut own = |terms: &Terms| {
                let is_own = held.get(&terms.id)?.is_for(&terms.wanted, terms.currency);
                is_own.then(|| held.remove(&terms.id)).flatten()
            };
            asked.iter().map(&mut own).collect()
        };
        self.holds.run(terms.clone(), work).await
    }

    /// Sells what is held and has not expired. False: to be sold, or refused, alone.
    pub async fn claim(&self, core: &Core, id: ReservationId, order: OrderId) -> bool {
        let work = |asked: Vec<(ReservationId, OrderId)>| async move {
            let sold = claim_all(core, &asked).await;
            let mut sold = sold.unwrap_or_else(|error| left_alone(&error));
            // An id that is asked for twice is sold once.
            let sold = asked.iter().map(|(id, _)| sold.remove(id).then_some(()));
            sold.collect()
        };
        self.claims.run((id, order), work).await.is_some()
    }
}

fn left_alone<T: Default>(error: &StoreError) -> T {
    let error: &dyn std::error::Error = error;
    tracing::info!(error, "reservations not stored together: each by itself");
    T::default()
}

/// Those of a batch that are held.
async fn hold_all(
    core: &Core,
    metrics: &Metrics,
    asked: &[Terms],
) -> Result<HashMap<ReservationId, Reservation>, StoreError> {
    let wanted = asked.iter().flat_map(|terms| terms.wanted.iter());
    let products: BTreeSet<_> = wanted.map(|(product, _)| product).collect();
    let mut conn = core.acquire().await?;
    let mut offers = reservations::offers(&mut conn, &products).await?;
    let mut decided = HashMap::new();
    for terms in asked {
        let (id, wanted, currency) = (terms.id, &terms.wanted, terms.currency);
        let of = offers.of(wanted, currency)?;
        // Refused for what others of the batch only may hold: asked for alone, it is refused for what is true.
        let Ok(held) = Reservation::hold(id, wanted, &of, currency, terms.expires_at) else {
            continue;
        };
        decided.entry(id).or_insert_with(|| {
            offers.without(&held);
            held
        });
    }
    if decided.is_empty() {
        return Ok(decided);
    }
    let holds: Vec<_> = decided.values().cloned().collect();
    match store(core, metrics, &mut conn, &holds).await? {
        Held::Stored { ids, .. } => decided.retain(|id, _| ids.contains(id)),
        Held::Short => decided.clear(),
    }
    Ok(decided)
}

/// Stores holds that were decided, and counts them.
pub async fn store(
    core: &Core,
    metrics: &Metrics,
    conn: &mut PgConnection,
    holds: &[Reservation],
) -> Result<Held, StoreError> {
    let now = core.now();
    // One event for each line, used where the line makes its product low on stock. The statement sets the quantity.
    let lines = holds.iter().flat_map(|held| held.lines.iter());
    let events = lines.map(|line| {
        let low = StockLow {
            product_id: line.product_id,
            sku: line.sku.clone(),
            available: 0,
        };
        Row::of(core.event_meta(now), &low)
    });
    let events = events.collect::<Result<Vec<_>, _>>()?;
    let held = reservations::insert_held(conn, holds, &events, now).await?;
    if let Held::Stored { ids, low } = &held {
        metrics.reservations("held", u64::try_from(ids.len()).unwrap_or(u64::MAX));
        metrics.low_stock(low.unsigned_abs());
    }
    Ok(held)
}

/// Those of a batch that are sold.
async fn claim_all(
    core: &Core,
    asked: &[(ReservationId, OrderId)],
) -> Result<HashSet<ReservationId>, StoreError> {
    let mut seen = HashSet::new();
    let once = asked.iter().filter(|(id, _)| seen.insert(*id));
    let once: Vec<_> = once.copied().collect();
    let mut conn = core.acquire().await?;
    reservations::claim_live_holds(&mut conn, &once, core.now()).await
}
