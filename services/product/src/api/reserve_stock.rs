//! `PUT /internal/v1/reservations/{id}`: hold stock for a checkout, at prices that are fixed here.

use axum::extract::State;
use chassis::{InternalCaller, Json, Path, Problem};
use contracts::FieldProblem;
use contracts::reservations::{
    Item, Line as LineView, Reservation as ReservationView, ReservationStatus, Reserve,
    ReserveProblem, Shortage as ShortageView,
};
use vocabulary::{MoneyError, ProductId, ReservationId};

use super::problems::problem;
use crate::domain::reservation::{NotSold, Record, Refusal, Reservation, State as Stage, expiry};
use crate::domain::stock::Wanted;
use crate::state::AppState;
use crate::store::reservations::{self, Held};
use crate::together::{self, Terms};

/// Attempts to hold stock that others reserve between the read and the write.
const ATTEMPTS: u32 = 5;

pub(super) async fn handler(
    State(app): State<AppState>,
    _: InternalCaller,
    Path(id): Path<ReservationId>,
    Json(body): Json<Reserve>,
) -> Result<Json<ReservationView>, Problem> {
    let items = body.items.iter();
    let items: Vec<_> = items.map(|item| (item.product_id, item.quantity)).collect();
    let wanted = Wanted::sum(&items).map_err(|error| invalid(error.to_string()))?;
    let terms = Terms {
        id,
        wanted,
        currency: body.currency,
        expires_at: expiry(app.core.now(), body.ttl_secs),
    };
    let held = app.together.hold(&app.core, &app.metrics, &terms).await;
    let held = match held {
        Some(held) => held,
        None => hold(&app, &terms, &body.items).await?,
    };
    view(&held)
}

/// Holds alone: reads without a lock, decides, and writes what was decided in one statement, which refuses if others have reserved
/// the stock since.
async fn hold(app: &AppState, terms: &Terms, items: &[Item]) -> Result<Reservation, Problem> {
    let mut conn = app.core.acquire().await?;
    let (id, wanted, currency) = (terms.id, &terms.wanted, terms.currency);
    let products = wanted.iter().map(|(product, _)| product).collect();
    for _ in 0..ATTEMPTS {
        let offers = reservations::offers(&mut conn, &products).await?;
        let offers = offers.of(wanted, currency)?;
        let held = match Reservation::hold(id, wanted, &offers, currency, terms.expires_at) {
            Ok(held) => held,
            Err(refusal) => {
                // Perhaps it was held by this very request, sent before.
                return match reservations::find(&mut conn, id).await? {
                    Some(record) => replay(app, record, terms),
                    None => Err(refuse(app, refusal, items)),
                };
            }
        };
        let holds = std::slice::from_ref(&held);
        match together::store(&app.core, &app.metrics, &mut conn, holds).await? {
            Held::Stored { ids, .. } if ids.contains(&id) => return Ok(held),
            Held::Stored { .. } => {
                let record = reservations::find(&mut conn, id).await?;
                return replay(app, record.unwrap_or(Record::Tombstone), terms);
            }
            Held::Short => {}
        }
    }
    Err(Problem::unavailable(1))
}

/// The same id again: the same response, if it is for the same items and still stands.
fn replay(app: &AppState, record: Record, terms: &Terms) -> Result<Reservation, Problem> {
    let Record::Reservation(found) = record else {
        return Err(refused(&ReserveProblem::ReservationExpired));
    };
    if !found.is_for(&terms.wanted, terms.currency) {
        return Err(refused(&ReserveProblem::ReservationMismatch));
    }
    match found.state {
        Stage::Held | Stage::Claimed { .. } => {
            app.metrics.reservation("replayed");
            Ok(found)
        }
        Stage::Released | Stage::Expired | Stage::Restocked { .. } => {
            Err(refused(&ReserveProblem::ReservationExpired))
        }
    }
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
    let status = match held.state {
        Stage::Claimed { .. } => ReservationStatus::Claimed,
        Stage::Held | Stage::Released | Stage::Expired | Stage::Restocked { .. } => {
            ReservationStatus::Held
        }
    };
    Ok(Json(ReservationView {
        id: held.id,
        status,
        expires_at: held.expires_at,
        lines: lines.map_err(|error| Problem::internal(&error))?,
        total: held.total().map_err(|error| Problem::internal(&error))?,
    }))
}

/// Names the items of the request that cannot be reserved.
fn refuse(app: &AppState, refusal: Refusal, items: &[Item]) -> Problem {
    let field = |product: ProductId| {
        let at = items.iter().position(|item| item.product_id == product);
        format!("items[{}]", at.unwrap_or_default())
    };
    let is_short = matches!(refusal, Refusal::OutOfStock(_));
    let outcome = if is_short { "out_of_stock" } else { "refused" };
    app.metrics.reservation(outcome);
    match refusal {
        Refusal::OutOfStock(short) => {
            let errors = short.into_iter().map(|(product, shortage)| ShortageView {
                field: field(product),
                message: format!("only {} available", shortage.available),
                available: shortage.available,
            });
            refused(&ReserveProblem::OutOfStock {
                errors: errors.collect(),
            })
        }
        Refusal::NotSold(faults) => {
            let errors = faults.into_iter().map(|(product, why)| FieldProblem {
                field: field(product),
                message: match why {
                    NotSold::Unknown => "there is no such product".to_owned(),
                    NotSold::NoPrice => "has no price in this currency".to_owned(),
                },
            });
            refused(&ReserveProblem::ItemRefused {
                errors: errors.collect(),
            })
        }
        Refusal::TooExpensive => invalid("the sum is too large".to_owned()),
    }
}

fn invalid(message: String) -> Problem {
    let field = "items".to_owned();
    refused(&ReserveProblem::Invalid {
        errors: vec![FieldProblem { field, message }],
    })
}

fn refused(why: &ReserveProblem) -> Problem {
    let title = match why {
        ReserveProblem::OutOfStock { .. } => "Not enough in stock",
        ReserveProblem::ItemRefused { .. } => "Some items cannot be sold",
        ReserveProblem::Invalid { .. } => "Invalid request",
        ReserveProblem::ReservationExpired => "The reservation expired or was released",
        ReserveProblem::ReservationMismatch => "The id was used for other items",
    };
    problem(why, title)
}
