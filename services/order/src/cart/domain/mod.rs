//! The contents of a checkout, fixed when it starts.

mod address;

pub use address::Address;

use serde::{Deserialize, Serialize};
use vocabulary::{Currency, FieldError, ProductId};

/// Most lines in one order.
pub const MAX_ITEMS: usize = 100;
/// Most units in one line.
pub const MAX_QUANTITY: u32 = 1_000;

/// A quantity of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub product_id: ProductId,
    pub quantity: u32,
}

/// What a checkout is about. Its JSON is stored, and is the fingerprint of the idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// In the order of the request: errors name items by their position.
    pub items: Vec<Item>,
    pub currency: Currency,
    pub address: Address,
    pub payment_method: String,
}

impl Cart {
    /// Every invalid field at once, so that a form can mark them together.
    pub fn check(&self, currencies: &[Currency]) -> Result<(), Vec<FieldError>> {
        let mut errors = self.item_errors();
        if !currencies.contains(&self.currency) {
            errors.push(FieldError::new("currency", "a currency of this shop"));
        }
        errors.extend(self.address.errors());
        let method = &self.payment_method;
        if method.is_empty() || !address::is_printable(method, 64) {
            errors.push(FieldError::new(
                "payment_method",
                "a payment method of this shop",
            ));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    fn item_errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.items.is_empty() || self.items.len() > MAX_ITEMS {
            errors.push(FieldError::new("items", "1 to 100 items"));
        }
        let items = self.items.iter().enumerate().take(MAX_ITEMS);
        let wrong = items.filter(|(_, item)| !(1..=MAX_QUANTITY).contains(&item.quantity));
        errors.extend(wrong.map(|(at, _)| {
            FieldError::new(format!("items[{at}].quantity"), "a number from 1 to 1000")
        }));
        errors
    }
}

#[cfg(test)]
mod tests;
