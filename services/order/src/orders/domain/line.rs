use serde::{Deserialize, Serialize};
use vocabulary::{Money, ProductId};

/// One line of an order, at the price that the reservation fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub product_id: ProductId,
    pub sku: String,
    pub title: String,
    pub quantity: u32,
    pub unit_price: Money,
}
