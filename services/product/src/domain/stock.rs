//! How much may be promised: holds, claims and the way back.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use vocabulary::{Currency, Money, MoneyError, OrderId, ProductId, ReservationId};

/// Most lines in one reservation.
pub const MAX_LINES: usize = 100;
/// Most pieces of one product in one reservation.
pub const MAX_QUANTITY: u32 = 100_000;
/// A hold lasts at most this long.
pub const MAX_TTL_SECS: u32 = 3_600;

/// Pieces of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// In the warehouse.
    pub on_hand: i64,
    /// Of those, promised.
    pub reserved: i64,
}

/// Not enough pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} wanted, {available} available")]
pub struct Shortage {
    /// What was asked for.
    pub wanted: u32,
    /// What could be had.
    pub available: i64,
}

impl Stock {
    /// Pieces that can be had.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Promises pieces.
    pub fn hold(self, quantity: u32) -> Result<Self, Shortage> {
        if i64::from(quantity) > self.available() {
            return Err(Shortage {
                wanted: quantity,
                available: self.available(),
            });
        }
        Ok(Self {
            reserved: self.reserved + i64::from(quantity),
            ..self
        })
    }

    /// Keeps the promise: the pieces leave the warehouse.
    #[must_use]
    pub fn claim(self, quantity: u32) -> Self {
        Self {
            on_hand: self.on_hand - i64::from(quantity),
            reserved: self.reserved - i64::from(quantity),
        }
    }

    /// Takes the promise back.
    #[must_use]
    pub fn release(self, quantity: u32) -> Self {
        Self {
            reserved: self.reserved - i64::from(quantity),
            ..self
        }
    }

    /// Claimed pieces come back to the warehouse.
    #[must_use]
    pub fn restock(self, quantity: u32) -> Self {
        Self {
            on_hand: self.on_hand + i64::from(quantity),
            ..self
        }
    }
}

/// What a reservation asks for: pieces by product, in the order in which rows are locked.
///
/// Two lines of one product are one: each would fit, and both together might not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(BTreeMap<ProductId, u32>);

/// A list of items that is not a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// No item, or too many.
    #[error("1 to {MAX_LINES} items")]
    Length,
    /// The quantity of the item at this place.
    #[error("a quantity from 1 to {MAX_QUANTITY}, in all lines of one product together")]
    Quantity(usize),
}

impl Wanted {
    /// Sums the lines of each product.
    pub fn sum(items: &[(ProductId, u32)]) -> Result<Self, WantedError> {
        if items.is_empty() || items.len() > MAX_LINES {
            return Err(WantedError::Length);
        }
        let mut by_product = BTreeMap::<ProductId, u32>::new();
        for (at, (product, quantity)) in items.iter().enumerate() {
            let sum = by_product.entry(*product).or_default();
            *sum = sum.saturating_add(*quantity);
            if *quantity == 0 || *sum > MAX_QUANTITY {
                return Err(WantedError::Quantity(at));
            }
        }
        Ok(Self(by_product))
    }

    /// Product and pieces, in product order.
    pub fn iter(&self) -> impl Iterator<Item = (ProductId, u32)> + '_ {
        self.0
            .iter()
            .map(|(product, quantity)| (*product, *quantity))
    }
}

/// What the catalogue says about a wanted product, under its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The product.
    pub product_id: ProductId,
    /// Its stock keeping unit.
    pub sku: String,
    /// Its title.
    pub title: String,
    /// Its price in the reservation's currency, if it has one.
    pub unit_price: Option<Money>,
    /// Its stock.
    pub stock: Stock,
}

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

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The pieces are promised.
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
    /// The promise was taken back.
    Released,
    /// The promise ran out.
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

/// Pieces promised to one checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id, minted by the checkout.
    pub id: ReservationId,
    /// What became of it.
    pub state: State,
    /// What it was priced in.
    pub currency: Currency,
    /// When the promise runs out.
    pub expires_at: DateTime<Utc>,
    /// What is promised, in product order.
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
    /// Promises all that is wanted, or nothing.
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
            if let Err(shortage) = offer.stock.hold(quantity) {
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

/// When a hold made now runs out.
pub fn expiry(now: DateTime<Utc>, ttl_secs: u32) -> DateTime<Utc> {
    now + TimeDelta::seconds(i64::from(ttl_secs.clamp(1, MAX_TTL_SECS)))
}

/// What a claim finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimVerdict {
    /// It is sold to this order already.
    Already,
    /// The promise ran out, or was taken back.
    Gone,
    /// It is sold to another order.
    Another,
}

impl State {
    /// Why a claim did not take the held row: it was not held any more.
    pub fn claim_verdict(self, order: OrderId) -> ClaimVerdict {
        match self {
            Self::Claimed { order_id } if order_id == order => ClaimVerdict::Already,
            Self::Claimed { .. } => ClaimVerdict::Another,
            // Still held means that it has expired and the periodic job has not run yet. Restocked is sold no more: a late
            // claim must not believe that it is.
            Self::Held | Self::Released | Self::Expired | Self::Restocked { .. } => {
                ClaimVerdict::Gone
            }
        }
    }
}
