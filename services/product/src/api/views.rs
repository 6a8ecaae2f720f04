//! Products as clients write and read them.

use chassis::Problem;
use serde::{Deserialize, Serialize};
use service::invalid;
use utoipa::ToSchema;
use vocabulary::{Money, ProductId};

use crate::domain::listing::{Listing, Prices, Product};

/// One product, as a card shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProductView {
    /// Its id.
    id: ProductId,
    /// Stock keeping unit.
    #[schema(example = "COFFEE-HOUSE-250")]
    sku: String,
    /// Title.
    #[schema(example = "House blend, 250 g")]
    title: String,
    /// Description.
    description: String,
    /// Slug of the category.
    #[schema(example = "coffee")]
    category: String,
    /// One price per currency.
    prices: Vec<Money>,
    /// Pieces that could be reserved, up to 30 seconds ago.
    available: i64,
}

impl From<&Product> for ProductView {
    fn from(product: &Product) -> Self {
        let listing = &product.listing;
        Self {
            id: product.id,
            sku: listing.sku.clone(),
            title: listing.title.clone(),
            description: listing.description.clone(),
            category: listing.category.clone(),
            prices: listing.prices.all(),
            available: product.available,
        }
    }
}

/// The listing of a product.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListingBody {
    /// Upper-case letters and digits with single dashes between, 64 at most; unique.
    #[schema(example = "COFFEE-HOUSE-250")]
    sku: String,
    /// 1 to 200 characters.
    #[schema(example = "House blend, 250 g")]
    title: String,
    /// At most 4000 characters.
    #[serde(default)]
    description: String,
    /// Slug of the category; a new one is created.
    #[schema(example = "coffee")]
    category: String,
    /// One price per currency, at least one.
    prices: Vec<Money>,
}

impl ListingBody {
    pub(super) fn listing(self) -> Result<Listing, Problem> {
        let prices = Prices::new(self.prices).map_err(|fault| invalid([fault]))?;
        let listing = Listing {
            sku: self.sku,
            title: self.title,
            description: self.description,
            category: self.category,
            prices,
        };
        listing.check().map_err(invalid)?;
        Ok(listing)
    }
}
