//! The cart as clients send it. Validation is the domain's; these types carry the API's descriptions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vocabulary::ProductId;

use crate::cart::domain;

/// So many units of one product.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Item)]
pub(crate) struct ItemBody {
    /// The product.
    product_id: ProductId,
    /// Units, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: u32,
}

/// Where the parcel goes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Address)]
pub(crate) struct AddressBody {
    /// Who receives it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200)]
    line1: String,
    /// Second line of the street address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    line2: Option<String>,
    /// Postal code.
    #[schema(min_length = 1, max_length = 20)]
    postal_code: String,
    /// Town.
    #[schema(min_length = 1, max_length = 200)]
    city: String,
    /// ISO 3166 country code, two letters.
    #[schema(pattern = "^[A-Z]{2}$")]
    country: String,
}

impl From<ItemBody> for domain::Item {
    fn from(body: ItemBody) -> Self {
        Self {
            product_id: body.product_id,
            quantity: body.quantity,
        }
    }
}

impl From<AddressBody> for domain::Address {
    fn from(body: AddressBody) -> Self {
        Self {
            name: body.name,
            line1: body.line1,
            line2: body.line2,
            postal_code: body.postal_code,
            city: body.city,
            country: body.country,
        }
    }
}

impl From<&domain::Address> for AddressBody {
    fn from(address: &domain::Address) -> Self {
        Self {
            name: address.name.clone(),
            line1: address.line1.clone(),
            line2: address.line2.clone(),
            postal_code: address.postal_code.clone(),
            city: address.city.clone(),
            country: address.country.clone(),
        }
    }
}
