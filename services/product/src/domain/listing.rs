//! What a product looks like to a shopper.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vocabulary::{Currency, FieldError, Money, ProductId};

/// Most currencies that a product is priced in.
pub const MAX_PRICES: usize = 20;
/// The largest price, in minor units: a hundred billion cents leaves room for any sum of lines.
pub const MAX_PRICE_MINOR: i64 = 100_000_000_000;

/// Prices by currency; a product has one price per currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(BTreeMap<Currency, i64>);

impl Prices {
    /// Takes a list of amounts; each currency at most once, nothing below zero.
    pub fn new(prices: impl IntoIterator<Item = Money>) -> Result<Self, FieldError> {
        let mut by_currency = BTreeMap::new();
        for (at, price) in prices.into_iter().enumerate() {
            let field = format!("prices[{at}]");
            if !(0..=MAX_PRICE_MINOR).contains(&price.minor()) {
                return Err(FieldError::new(field, "an amount from 0 to 100000000000"));
            }
            if by_currency
                .insert(price.currency(), price.minor())
                .is_some()
            {
                return Err(FieldError::new(field, "one price per currency"));
            }
        }
        if by_currency.is_empty() || by_currency.len() > MAX_PRICES {
            return Err(FieldError::new("prices", "1 to 20 prices"));
        }
        Ok(Self(by_currency))
    }

    /// The price in one currency.
    pub fn in_currency(&self, currency: Currency) -> Option<Money> {
        self.0
            .get(&currency)
            .map(|minor| Money::new(*minor, currency))
    }

    /// All prices, by currency.
    pub fn all(&self) -> Vec<Money> {
        self.0
            .iter()
            .map(|(currency, minor)| Money::new(*minor, *currency))
            .collect()
    }
}

/// What a merchant writes about a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Stock keeping unit: `A-Z 0-9 -`.
    pub sku: String,
    /// Title.
    pub title: String,
    /// Description.
    pub description: String,
    /// Category slug.
    pub category: String,
    /// Prices.
    pub prices: Prices,
}

impl Listing {
    /// Checks the texts; all faults at once.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Vec::new();
        if !is_dashed(&self.sku, |b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            faults.push(FieldError::new(
                "sku",
                "1 to 64 upper-case letters and digits, with single dashes between",
            ));
        }
        if !is_dashed(&self.category, |b| {
            b.is_ascii_lowercase() || b.is_ascii_digit()
        }) {
            faults.push(FieldError::new(
                "category",
                "1 to 64 lower-case letters and digits, with single dashes between",
            ));
        }
        let title = self.title.chars().count();
        if self.title.trim().is_empty() || title > 200 || self.title.chars().any(char::is_control) {
            faults.push(FieldError::new("title", "1 to 200 characters"));
        }
        if self.description.chars().count() > 4_000 || self.description.contains('\0') {
            faults.push(FieldError::new("description", "at most 4000 characters"));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

/// True for `ab-12`: allowed bytes in runs with single dashes between, 64 at most.
fn is_dashed(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= 64
        && text
            .split('-')
            .all(|run| !run.is_empty() && run.bytes().all(&allowed))
}

/// The title of a category that was only named by its slug.
pub fn category_title(slug: &str) -> String {
    let mut title = slug.replace('-', " ");
    if let Some(first) = title.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    title
}

/// A product as it stands in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What the merchant wrote.
    pub listing: Listing,
    /// Pieces that can be had now.
    pub available: i64,
    /// Counts the changes of the listing.
    pub version: i64,
}
