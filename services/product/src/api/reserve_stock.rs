//! `PUT /internal/v1/reservations/{id}`: hold stock for a checkout, at prices that are frozen here.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use vocabulary::{Currency, Money, MoneyError, ProductId, ReservationId};

use super::uncommitted;
use crate::domain::stock::{self, NotSold, Refusal, Reservation, State as Stage, Wanted};
use crate::state::AppState;
use crate::store::reservations::{self, Record};

/// What a checkout asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reserve {
    items: Vec<Item>,
    currency: Currency,
    ttl_secs: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    product_id: ProductId,
    quantity: u32,
}

/// What is held.
#[derive(Serialize)]
pub(super) struct ReservationView {
    id: ReservationId,
    status: &'static str,
    expires_at: DateTime<Utc>,
    lines: Vec<LineView>,
    total: Money,
}

#[derive(Serialize)]
struct LineView {
    product_id: ProductId,
    sku: String,
    title: String,
    quantity: u32,
    unit_price: Money,
    line_total: Money,
}

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
    let expires_at = stock::expiry(now, body.ttl_secs);
    let mut tx = app.begin().await?;
    if !reservations::insert(&mut tx, id, body.currency, expires_at, now).await? {
        let record = reservations::find(&mut tx, id).await?;
        return replay(&app, record, &wanted, body.currency);
    }
    let offers = reservations::lock_offers(&mut tx, &wanted, body.currency).await?;
    let held = Reservation::hold(id, &wanted, &offers, body.currency, expires_at);
    // Nothing is kept of a refusal: the transaction ends without a commit, and the id is free.
    let held = held.map_err(|refusal| {
        let short = matches!(refusal, Refusal::OutOfStock(_));
        app.metrics
            .reservation(if short { "out_of_stock" } else { "refused" });
        because(refusal, &body.items)
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
        let title = "This id was used for something else";
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "reservation_mismatch",
            title,
        ));
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
    let title = "The hold ran out or was given back";
    Problem::new(StatusCode::CONFLICT, "reservation_expired", title)
}

fn view(held: &Reservation) -> Result<Json<ReservationView>, Problem> {
    let lines = held.lines.iter().map(|line| {
        Ok(LineView {
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
        status: held.state.as_str(),
        expires_at: held.expires_at,
        lines: lines.map_err(|error| Problem::internal(&error))?,
        total: held.total().map_err(|error| Problem::internal(&error))?,
    }))
}

/// Says which of the items that were sent is to blame.
fn because(refusal: Refusal, items: &[Item]) -> Problem {
    let field = |product: ProductId| {
        let at = items.iter().position(|item| item.product_id == product);
        format!("items[{}]", at.unwrap_or_default())
    };
    match refusal {
        Refusal::OutOfStock(short) => {
            let title = "Not enough in stock";
            let problem = Problem::new(StatusCode::CONFLICT, "out_of_stock", title);
            short
                .into_iter()
                .fold(problem, |problem, (product, shortage)| {
                    problem.field(field(product), format!("available: {}", shortage.available))
                })
        }
        Refusal::NotSold(faults) => {
            let title = "Some items cannot be sold";
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "item_refused", title);
            faults.into_iter().fold(problem, |problem, (product, why)| {
                let message = match why {
                    NotSold::Unknown => "there is no such product",
                    NotSold::NoPrice => "has no price in this currency",
                };
                problem.field(field(product), message)
            })
        }
        Refusal::TooExpensive => Problem::invalid().field("items", "the sum is too large"),
    }
}
