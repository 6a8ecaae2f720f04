//! What a shopper asks for, checked before anything else happens.

use serde::{Deserialize, Serialize};
use vocabulary::{Currency, Money, ProductId};

/// Most lines in one order.
pub const MAX_ITEMS: usize = 100;
/// Most pieces in one line.
pub const MAX_QUANTITY: u32 = 1_000;

/// So many pieces of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The product.
    pub product_id: ProductId,
    /// Pieces, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    pub quantity: u32,
}

/// Where the parcel goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who receives it.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    /// What the first line had no room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub line2: Option<String>,
    /// Postal code.
    #[schema(min_length = 1, max_length = 20)]
    pub postal_code: String,
    /// Town.
    #[schema(min_length = 1, max_length = 200)]
    pub city: String,
    /// ISO 3166 country code, two letters.
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: String,
}

/// What a checkout is about: fixed when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// What is wanted, in the order of the request.
    pub items: Vec<Item>,
    /// What to pay in.
    pub currency: Currency,
    /// Where it goes.
    pub address: Address,
    /// How it is paid.
    pub payment_method: String,
}

/// A field that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `items[0].quantity`.
    pub field: String,
    /// What is expected.
    pub message: String,
}

impl Cart {
    /// Checks every field; all faults at once, so that a form can show them together.
    pub fn check(&self, currencies: &[Currency]) -> Result<(), Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut fault = |field: String, message: &str| {
            faults.push(FieldError {
                field,
                message: message.to_owned(),
            });
        };
        if self.items.is_empty() || self.items.len() > MAX_ITEMS {
            fault("items".into(), "1 to 100 items");
        }
        for (at, item) in self.items.iter().enumerate().take(MAX_ITEMS) {
            if item.quantity == 0 || item.quantity > MAX_QUANTITY {
                fault(format!("items[{at}].quantity"), "a number from 1 to 1000");
            }
        }
        if !currencies.contains(&self.currency) {
            fault("currency".into(), "a currency of this shop");
        }
        let address = &self.address;
        for (name, text, most) in [
            ("name", &address.name, 200),
            ("line1", &address.line1, 200),
            ("postal_code", &address.postal_code, 20),
            ("city", &address.city, 200),
        ] {
            if !printable(text, most) || text.trim().is_empty() {
                fault(
                    format!("address.{name}"),
                    &format!("1 to {most} characters, none of them a control character"),
                );
            }
        }
        if address.line2.as_ref().is_some_and(|l| !printable(l, 200)) {
            fault("address.line2".into(), "at most 200 characters");
        }
        let country = address.country.as_bytes();
        if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
            fault(
                "address.country".into(),
                "two upper-case letters, as in ISO 3166",
            );
        }
        if !printable(&self.payment_method, 64) || self.payment_method.is_empty() {
            fault("payment_method".into(), "a payment method of this shop");
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

fn printable(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// One line, as the reservation froze it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// Its stock keeping unit.
    pub sku: String,
    /// Its title.
    pub title: String,
    /// Pieces.
    pub quantity: u32,
    /// Price of one piece.
    pub unit_price: Money,
}

/// What the reservation fixed: from here on neither a price nor an address changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Where to write to.
    pub email: String,
    /// What is bought.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Money,
}
