//! Quantities of a product: what is there, what is reserved, and how both change.

use std::collections::BTreeMap;

use vocabulary::{Money, ProductId};

/// Most lines in one reservation.
pub const MAX_LINES: usize = 100;
/// Most pieces of one product in one reservation.
pub const MAX_QUANTITY: u32 = 100_000;
/// `stock.low.v1` is published when the available quantity of a product falls to this or below.
pub const LOW_STOCK: i64 = 5;

/// Pieces of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// In the warehouse.
    pub on_hand: i64,
    /// Of those, reserved.
    pub reserved: i64,
}

/// Not enough pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} wanted, {available} available")]
pub struct Shortage {
    /// What was asked for.
    pub wanted: u32,
    /// What could be reserved.
    pub available: i64,
}

/// How a reservation changes the stock of each of its lines. The store adds the quantity of a line times these factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockChange {
    /// The pieces are reserved.
    Hold,
    /// The pieces leave the warehouse.
    Sell,
    /// The pieces are no longer reserved.
    Release,
    /// Sold pieces come back to the warehouse.
    Restock,
}

impl StockChange {
    /// How often the quantity is added to what is on hand.
    pub const fn on_hand(self) -> i64 {
        match self {
            Self::Hold | Self::Release => 0,
            Self::Sell => -1,
            Self::Restock => 1,
        }
    }

    /// How often the quantity is added to what is reserved.
    pub const fn reserved(self) -> i64 {
        match self {
            Self::Hold => 1,
            Self::Sell | Self::Release => -1,
            Self::Restock => 0,
        }
    }
}

impl Stock {
    /// Pieces that can be reserved.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved
    }

    /// True if so many pieces can be reserved.
    pub fn covers(self, quantity: u32) -> Result<(), Shortage> {
        if i64::from(quantity) <= self.available() {
            return Ok(());
        }
        Err(Shortage {
            wanted: quantity,
            available: self.available(),
        })
    }

    /// The stock after a change. `hold` must be covered: see [`Stock::covers`].
    #[must_use]
    pub fn after(self, change: StockChange, quantity: u32) -> Self {
        let quantity = i64::from(quantity);
        Self {
            on_hand: self.on_hand + change.on_hand() * quantity,
            reserved: self.reserved + change.reserved() * quantity,
        }
    }
}

/// True if the available quantity has fallen to [`LOW_STOCK`] or below with this change, and was above it before: once per
/// crossing, however much further it falls.
pub const fn becomes_low(available_before: i64, available_after: i64) -> bool {
    available_before > LOW_STOCK && available_after <= LOW_STOCK
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

/// A wanted product as the catalogue has it.
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
