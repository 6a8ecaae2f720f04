use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{post, put};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use contracts::FieldProblem;
use contracts::reservations::{
    CLAIM, Claim, ClaimProblem, Item, Line, RELEASE, RESERVATION, Reservation, ReservationStatus,
    Reserve, ReserveProblem, Shortage,
};
use vocabulary::{Currency, Money, OrderId, ProductId, ReservationId};

use super::{Answer, Fakes};

/// Everything costs this much.
const PRICE: i64 = 250;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldState {
    Held,
    Claimed(OrderId),
    Released,
    Expired,
    Restocked,
}

#[derive(Debug, Clone)]
pub struct Hold {
    items: Vec<Item>,
    pub state: HoldState,
}

#[derive(Debug, Default)]
pub struct Product {
    /// Units that can be reserved.
    pub stock: BTreeMap<ProductId, i64>,
    pub holds: BTreeMap<ReservationId, Hold>,
    /// Until when stock is reserved; the checkout's clock is the test's.
    pub hold_expires_at: DateTime<Utc>,
    /// The next reservation to be claimed has expired.
    pub holds_expire: bool,
}

impl Product {
    fn put_back(&mut self, items: &[Item]) {
        for item in items {
            *self.stock.entry(item.product_id).or_default() += i64::from(item.quantity);
        }
    }

    pub fn expire_holds(&mut self) {
        for id in self.holds.keys().copied().collect::<Vec<_>>() {
            self.end(id, &HoldState::Held, HoldState::Expired);
        }
    }

    /// Ends a hold that is in this state, and puts its items back.
    fn end(&mut self, id: ReservationId, from: &HoldState, to: HoldState) {
        if let Some(hold) = self.holds.get_mut(&id)
            && hold.state == *from
        {
            hold.state = to;
            let items = hold.items.clone();
            self.put_back(&items);
        }
    }

    fn reserve(
        &mut self,
        id: ReservationId,
        request: &Reserve,
    ) -> Result<Reservation, ReserveProblem> {
        if let Some(hold) = self.holds.get(&id) {
            return match hold.state {
                HoldState::Held | HoldState::Claimed(_) if hold.items != request.items => {
                    Err(ReserveProblem::ReservationMismatch)
                }
                HoldState::Held | HoldState::Claimed(_) => Ok(self.reservation(id, hold)),
                HoldState::Released | HoldState::Expired | HoldState::Restocked => {
                    Err(ReserveProblem::ReservationExpired)
                }
            };
        }
        self.check(&request.items)?;
        for item in &request.items {
            *self.stock.entry(item.product_id).or_default() -= i64::from(item.quantity);
        }
        let hold = Hold {
            items: request.items.clone(),
            state: HoldState::Held,
        };
        let reservation = self.reservation(id, &hold);
        self.holds.insert(id, hold);
        Ok(reservation)
    }

    fn check(&self, items: &[Item]) -> Result<(), ReserveProblem> {
        for (at, item) in items.iter().enumerate() {
            let field = format!("items[{at}]");
            let Some(available) = self.stock.get(&item.product_id).copied() else {
                let message = "no such product".into();
                let errors = vec![FieldProblem { field, message }];
                return Err(ReserveProblem::ItemRefused { errors });
            };
            if available < i64::from(item.quantity) {
                let short = Shortage {
                    field,
                    message: format!("only {available} available"),
                    available,
                };
                return Err(ReserveProblem::OutOfStock {
                    errors: vec![short],
                });
            }
        }
        Ok(())
    }

    fn claim(&mut self, id: ReservationId, order: OrderId) -> Result<(), ClaimProblem> {
        if self.holds_expire {
            self.end(id, &HoldState::Held, HoldState::Expired);
        }
        let hold = self.holds.get_mut(&id).ok_or(ClaimProblem::NotFound)?;
        match hold.state {
            HoldState::Held => {
                hold.state = HoldState::Claimed(order);
                Ok(())
            }
            HoldState::Claimed(known) if known == order => Ok(()),
            HoldState::Claimed(_) => Err(ClaimProblem::ReservationMismatch),
            HoldState::Released | HoldState::Expired | HoldState::Restocked => {
                Err(ClaimProblem::ReservationExpired)
            }
        }
    }

    fn release(&mut self, id: ReservationId) {
        let claimed = match self.holds.get(&id).map(|hold| hold.state.clone()) {
            Some(claimed @ HoldState::Claimed(_)) => claimed,
            Some(_) => return self.end(id, &HoldState::Held, HoldState::Released),
            // Remembered: it can never be reserved.
            None => {
                let hold = Hold {
                    items: vec![],
                    state: HoldState::Released,
                };
                self.holds.insert(id, hold);
                return;
            }
        };
        self.end(id, &claimed, HoldState::Restocked);
    }

    fn reservation(&self, id: ReservationId, hold: &Hold) -> Reservation {
        let eur = Currency::new("EUR").unwrap();
        let lines = hold.items.iter().map(|item| Line {
            product_id: item.product_id,
            sku: "MUG".into(),
            title: "Mug".into(),
            quantity: item.quantity,
            unit_price: Money::new(PRICE, eur),
            line_total: Money::new(PRICE, eur).times(item.quantity).unwrap(),
        });
        let lines: Vec<Line> = lines.collect();
        Reservation {
            id,
            status: match hold.state {
                HoldState::Claimed(_) => ReservationStatus::Claimed,
                _ => ReservationStatus::Held,
            },
            expires_at: self.hold_expires_at,
            total: Money::sum(eur, lines.iter().map(|line| line.line_total)).unwrap(),
            lines,
        }
    }
}

pub(super) fn routes() -> Router<Fakes> {
    Router::new()
        .route(RESERVATION, put(reserve))
        .route(CLAIM, post(claim))
        .route(RELEASE, post(release))
}

async fn reserve(
    State(fakes): State<Fakes>,
    Path(id): Path<ReservationId>,
    headers: HeaderMap,
    Json(body): Json<Reserve>,
) -> Response {
    let work = |world: &mut super::World| match world.product.reserve(id, &body) {
        Ok(reservation) => Answer::ok(&reservation),
        Err(problem) => Answer::problem(&problem),
    };
    fakes.serve("reserve", &headers, work).await
}

async fn claim(
    State(fakes): State<Fakes>,
    Path(id): Path<ReservationId>,
    headers: HeaderMap,
    Json(body): Json<Claim>,
) -> Response {
    let work = |world: &mut super::World| match world.product.claim(id, body.order_id) {
        Ok(()) => Answer::empty(StatusCode::OK),
        Err(problem) => Answer::problem(&problem),
    };
    fakes.serve("claim", &headers, work).await
}

async fn release(
    State(fakes): State<Fakes>,
    Path(id): Path<ReservationId>,
    headers: HeaderMap,
) -> Response {
    let work = |world: &mut super::World| {
        world.product.release(id);
        Answer::empty(StatusCode::NO_CONTENT)
    };
    fakes.serve("release", &headers, work).await
}
