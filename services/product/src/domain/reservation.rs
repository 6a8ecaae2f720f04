//! Reservations: held, then claimed, released or expired; what was claimed may come back.

use chrono::{DateTime, TimeDelta, Utc};
use vocabulary::{Currency, Money, MoneyError, OrderId, ProductId, ReservationId};

use super::stock::{Offer, Shortage, StockChange, Wanted};

/// A hold lasts at most this long.
pub const MAX_TTL_SECS: u32 = 3_600;

/// One line of a reservation, frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// Its stock keeping unit at that time.
    pub sku: String,
    /// Its title at that time.
    pub title: String,
    /// Pieces.
    pub quantity: u32,
    /// Its price at that time.
    pub unit_price: Money,
}

impl Line {
    /// What the line costs.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.unit_price.times(self.quantity)
    }
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The pieces are reserved.
    Held,
    /// The pieces are sold.
    Claimed {
        /// To this order.
        order_id: OrderId,
    },
    /// The pieces were sold and came back.
    Restocked {
        /// From this order.
        order_id: OrderId,
    },
    /// The pieces were given back.
    Released,
    /// Nobody claimed the pieces in time.
    Expired,
}

impl State {
    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Claimed { .. } => "claimed",
            Self::Restocked { .. } => "restocked",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

impl State {
    /// The order that the pieces were sold to.
    pub const fn order_id(self) -> Option<OrderId> {
        match self {
            Self::Claimed { order_id } | Self::Restocked { order_id } => Some(order_id),
            Self::Held | Self::Released | Self::Expired => None,
        }
    }
}

/// Pieces reserved for one checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id, minted by the checkout.
    pub id: ReservationId,
    /// Where it stands.
    pub state: State,
    /// What it was priced in.
    pub currency: Currency,
    /// When it expires, unless it is claimed.
    pub expires_at: DateTime<Utc>,
    /// What is reserved, in product order.
    pub lines: Vec<Line>,
}

/// Why nothing is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Products that nobody sells, or not in this currency.
    NotSold(Vec<(ProductId, NotSold)>),
    /// Products of which there is not enough.
    OutOfStock(Vec<(ProductId, Shortage)>),
    /// The sum does not fit.
    TooExpensive,
}

/// Why a product cannot be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSold {
    /// There is no such product.
    Unknown,
    /// It has no price in the currency.
    NoPrice,
}

impl Reservation {
    /// Reserves all that is wanted, or nothing.
    pub fn hold(
        id: ReservationId,
        wanted: &Wanted,
        offers: &[Offer],
        currency: Currency,
        expires_at: DateTime<Utc>,
    ) -> Result<Self, Refusal> {
        let (mut lines, mut not_sold, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for (product, quantity) in wanted.iter() {
            let Some(offer) = offers.iter().find(|o| o.product_id == product) else {
                not_sold.push((product, NotSold::Unknown));
                continue;
            };
            let Some(unit_price) = offer.unit_price else {
                not_sold.push((product, NotSold::NoPrice));
                continue;
            };
            if let Err(shortage) = offer.stock.covers(quantity) {
                short.push((product, shortage));
            }
            lines.push(Line {
                product_id: product,
                sku: offer.sku.clone(),
                title: offer.title.clone(),
                quantity,
                unit_price,
            });
        }
        if !not_sold.is_empty() {
            return Err(Refusal::NotSold(not_sold));
        }
        if !short.is_empty() {
            return Err(Refusal::OutOfStock(short));
        }
        let reservation = Self {
            id,
            state: State::Held,
            currency,
            expires_at,
            lines,
        };
        match reservation.total() {
            Ok(_) => Ok(reservation),
            Err(_) => Err(Refusal::TooExpensive),
        }
    }

    /// What all lines cost.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.lines
            .iter()
            .try_fold(Money::zero(self.currency), |sum, line| {
                sum.plus(line.total()?)
            })
    }

    /// True where the same was asked for: what makes a repeated request a replay.
    pub fn is_for(&self, wanted: &Wanted, currency: Currency) -> bool {
        self.currency == currency
            && self
                .lines
                .iter()
                .map(|line| (line.product_id, line.quantity))
                .eq(wanted.iter())
    }
}

/// When a hold made now expires.
pub fn expiry(now: DateTime<Utc>, ttl_secs: u32) -> DateTime<Utc> {
    now + TimeDelta::seconds(i64::from(ttl_secs.clamp(1, MAX_TTL_SECS)))
}

/// What is stored about a reservation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It was released before it was made: it must never hold anything.
    Tombstone,
    /// It was made.
    Reservation(Reservation),
}

/// What a decision needs to know about a reservation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is stored about it.
    Unknown,
    /// It must never hold anything.
    Barred,
    /// It was made.
    Made {
        /// Where it stands.
        state: State,
        /// When it expires, unless it is claimed.
        expires_at: DateTime<Utc>,
    },
}

impl Standing {
    /// What is stored.
    pub fn of(record: Option<&Record>) -> Self {
        match record {
            None => Self::Unknown,
            Some(Record::Tombstone) => Self::Barred,
            Some(Record::Reservation(made)) => Self::Made {
                state: made.state,
                expires_at: made.expires_at,
            },
        }
    }

    /// A hold that never expires.
    pub const fn live_hold() -> Self {
        Self::Made {
            state: State::Held,
            expires_at: DateTime::<Utc>::MAX_UTC,
        }
    }
}

/// What is asked of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Sell what is held to this order.
    Claim(OrderId),
    /// Give back what is held, or was claimed for an order that was never placed.
    Release,
    /// Put back what was sold to this order, which is cancelled.
    Restock(OrderId),
    /// Give back what nobody claimed in time.
    Expire,
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The state that the reservation moves to, and how that changes the stock of its lines.
    Move(State, StockChange),
    /// Remember that the id must never hold anything.
    Bar,
    /// Nothing: it is done already, or there is nothing to do.
    Nothing,
}

/// Why a claim sells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimRefusal {
    /// There is no such reservation.
    Unknown,
    /// It expired or was released.
    Expired,
    /// It is sold to another order.
    AnotherOrder,
}

/// Decides what a command does to what is stored. Every command may be repeated, and may arrive in any order.
pub fn decide(
    standing: Standing,
    command: Command,
    now: DateTime<Utc>,
) -> Result<Step, ClaimRefusal> {
    match command {
        Command::Claim(order) => claim(standing, order, now),
        Command::Release => Ok(release(standing)),
        Command::Restock(order) => Ok(restock(standing, order)),
        Command::Expire => Ok(expire(standing, now)),
    }
}

fn claim(standing: Standing, order: OrderId, now: DateTime<Utc>) -> Result<Step, ClaimRefusal> {
    let (state, expires_at) = match standing {
        Standing::Unknown => return Err(ClaimRefusal::Unknown),
        Standing::Barred => return Err(ClaimRefusal::Expired),
        Standing::Made { state, expires_at } => (state, expires_at),
    };
    match state {
        State::Held if now < expires_at => Ok(Step::Move(
            State::Claimed { order_id: order },
            StockChange::Sell,
        )),
        State::Claimed { order_id } if order_id == order => Ok(Step::Nothing),
        State::Claimed { .. } => Err(ClaimRefusal::AnotherOrder),
        // What came back is not sold, whoever had it.
        State::Held | State::Released | State::Expired | State::Restocked { .. } => {
            Err(ClaimRefusal::Expired)
        }
    }
}

fn release(standing: Standing) -> Step {
    let state = match standing {
        Standing::Unknown => return Step::Bar,
        Standing::Barred => return Step::Nothing,
        Standing::Made { state, .. } => state,
    };
    match state {
        State::Held => Step::Move(State::Released, StockChange::Release),
        State::Claimed { order_id } => {
            Step::Move(State::Restocked { order_id }, StockChange::Restock)
        }
        State::Restocked { .. } | State::Released | State::Expired => Step::Nothing,
    }
}

fn restock(standing: Standing, order: OrderId) -> Step {
    match standing {
        Standing::Made {
            state: State::Claimed { order_id },
            ..
        } if order_id == order => {
            Step::Move(State::Restocked { order_id: order }, StockChange::Restock)
        }
        Standing::Made { .. } | Standing::Unknown | Standing::Barred => Step::Nothing,
    }
}

fn expire(standing: Standing, now: DateTime<Utc>) -> Step {
    match standing {
        Standing::Made {
            state: State::Held,
            expires_at,
        } if expires_at <= now => Step::Move(State::Expired, StockChange::Release),
        Standing::Made { .. } | Standing::Unknown | Standing::Barred => Step::Nothing,
    }
}
