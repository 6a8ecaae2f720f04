//! `PUT /internal/v1/reservations/{id}`: hold stock for a checkout, at prices that are frozen here.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use chrono::{DateTime, Utc};
use contracts::FieldProblem;
use contracts::reservations::{
    Item, Line, Reservation as ReservationView, ReservationStatus, Reserve, ReserveProblem,
    Shortage,
};
use vocabulary::{Currency, MoneyError, ProductId, ReservationId};

use super::{problem, uncommitted};
use crate::domain::stock::{self, NotSold, Offer, Refusal, Reservation, State as Stage, Wanted};
use crate::state::AppState;
use crate::store::reservations::{self, Record};

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<ReservationId>,
    Json(body): Json<Reserve>,
) -> Result<Json<ReservationView>, Problem> {
    let items: Vec<_> = body
        .items
        .iter()
        .map(|item| (item.product_id, item.quantity))
        .collect();
    let wanted = Wanted::sum(&items);
    let wanted = wanted.map_err(|e| Problem::invalid().field("items", e.to_string()))?;
    let now = app.clock.now();
    let terms = Terms {
        id,
        wanted,
        currency: body.currency,
        expires_at: stock::expiry(now, body.ttl_secs),
    };
    match hold_at_once(&app, &terms, now).await? {
        Some(held) => Ok(held),
        None => hold_under_lock(&app, &terms, &body.items, now).await,
    }
}

/// A hold that is asked for.
struct Terms {
    id: ReservationId,
    wanted: Wanted,
    currency: Currency,
    expires_at: DateTime<Utc>,
}

impl Terms {
    fn hold(&self, offers: &[Offer]) -> Result<Reservation, Refusal> {
        Reservation::hold(
            self.id,
            &self.wanted,
            offers,
            self.currency,
            self.expires_at,
        )
    }
}

/// The usual way: looks without a lock and promises in one statement, which the table's checks refuse if the stock went
/// meanwhile. Nothing is refused on what was seen without a lock: none then.
async fn hold_at_once(
    app: &AppState,
    terms: &Terms,
    now: DateTime<Utc>,
) -> Result<Option<Json<ReservationView>>, Problem> {
    let mut conn = app.acquire().await?;
    let offers = reservations::offers(&mut conn, &terms.wanted, terms.currency).await?;
    let Ok(held) = terms.hold(&offers) else {
        return Ok(None);
    };
    match reservations::insert_held(&mut conn, &held, now).await {
        Ok(true) => {
            app.metrics.reservation("held");
            view(&held).map(Some)
        }
        Ok(false) => {
            let record = reservations::find(&mut conn, terms.id).await?;
            replay(app, record, &terms.wanted, terms.currency).map(Some)
        }
        Err(error) if error.constraint() == Some("stock_reserved_on_hand") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The way of a refusal: it is decided with the stock under lock, so that it says what could be had.
async fn hold_under_lock(
    app: &AppState,
    terms: &Terms,
    items: &[Item],
    now: DateTime<Utc>,
) -> Result<Json<ReservationView>, Problem> {
    let mut tx = app.begin().await?;
    let (id, currency) = (terms.id, terms.currency);
    if !reservations::insert(&mut tx, id, currency, terms.expires_at, now).await? {
        let record = reservations::find(&mut tx, id).await?;
        return replay(app, record, &terms.wanted, currency);
    }
    let offers = reservations::lock_offers(&mut tx, &terms.wanted, currency).await?;
    // Nothing is kept of a refusal: the transaction ends without a commit, and the id is free.
    let held = terms.hold(&offers).map_err(|refusal| {
        let short = matches!(refusal, Refusal::OutOfStock(_));
        app.metrics
            .reservation(if short { "out_of_stock" } else { "refused" });
        because(refusal, items)
    })?;
    reservations::hold(&mut tx, &held).await?;
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    app.metrics.reservation("held");
    view(&held)
}

/// The same id again: the same answer, if it is for the same and still stands.
fn replay(
    app: &AppState,
    record: Option<Record>,
    wanted: &Wanted,
    currency: Currency,
) -> Result<Json<ReservationView>, Problem> {
    let Some(Record::Reservation(found)) = record else {
        return Err(gone());
    };
    if !found.is_for(wanted, currency) {
        let title = "This id was used for other items";
        return Err(problem(&ReserveProblem::ReservationMismatch, title));
    }
    match found.state {
        Stage::Held | Stage::Claimed { .. } => {
            app.metrics.reservation("replayed");
            view(&found)
        }
        Stage::Released | Stage::Expired | Stage::Restocked { .. } => Err(gone()),
    }
}

fn gone() -> Problem {
    let title = "The reservation expired or was released";
    problem(&ReserveProblem::ReservationExpired, title)
}

fn view(held: &Reservation) -> Result<Json<ReservationView>, Problem> {
    let lines = held.lines.iter().map(|line| {
        Ok(Line {
            product_id: line.product_id,
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            line_total: line.total()?,
        })
    });
    let lines = lines.collect::<Result<_, MoneyError>>();
    Ok(Json(ReservationView {
        id: held.id,
        status: match held.state {
            Stage::Claimed { .. } => ReservationStatus::Claimed,
            Stage::Held | Stage::Released | Stage::Expired | Stage::Restocked { .. } => {
                ReservationStatus::Held
            }
        },
        expires_at: held.expires_at,
        lines: lines.map_err(|error| Problem::internal(&error))?,
        total: held.total().map_err(|error| Problem::internal(&error))?,
    }))
}

/// Names the items of the request that are the cause.
fn because(refusal: Refusal, items: &[Item]) -> Problem {
    let field = |product: ProductId| {
        let at = items.iter().position(|item| item.product_id == product);
        format!("items[{}]", at.unwrap_or_default())
    };
    match refusal {
        Refusal::OutOfStock(short) => {
            let errors = short.into_iter().map(|(product, shortage)| Shortage {
                field: field(product),
                message: format!("only {} available", shortage.available),
                available: shortage.available,
            });
            let errors = errors.collect();
            problem(
                &ReserveProblem::OutOfStock { errors },
                "Not enough in stock",
            )
        }
        Refusal::NotSold(faults) => {
            let errors = faults.into_iter().map(|(product, why)| FieldProblem {
                field: field(product),
                message: match why {
                    NotSold::Unknown => "there is no such product",
                    NotSold::NoPrice => "has no price in this currency",
                }
                .to_owned(),
            });
            let errors = errors.collect();
            let title = "Some items cannot be sold";
            problem(&ReserveProblem::ItemRefused { errors }, title)
        }
        Refusal::TooExpensive => Problem::invalid().field("items", "the sum is too large"),
    }
}
