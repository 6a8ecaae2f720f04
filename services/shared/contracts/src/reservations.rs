//! Reservations of stock, provided by product.
//!
//! Every call is idempotent by the reservation's id, which the consumer creates. A release that arrives before its reserve is
//! remembered: that id can never hold stock.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use vocabulary::{Currency, Money, OrderId, ProductId, ReservationId};

use crate::{FieldProblem, Problem};

/// Route of `PUT`: reserve.
pub const RESERVATION: &str = "/internal/v1/reservations/{id}";
/// Route of `POST`: claim.
pub const CLAIM: &str = "/internal/v1/reservations/{id}/claim";
/// Route of `POST` without a body, answered with 204: release. A reservation that was claimed is restocked.
pub const RELEASE: &str = "/internal/v1/reservations/{id}/release";

/// Path of `PUT`: reserve.
pub fn reservation_path(id: ReservationId) -> String {
    crate::path(RESERVATION, id.as_uuid())
}

/// Path of `POST`: claim.
pub fn claim_path(id: ReservationId) -> String {
    crate::path(CLAIM, id.as_uuid())
}

/// Path of `POST`: release.
pub fn release_path(id: ReservationId) -> String {
    crate::path(RELEASE, id.as_uuid())
}

/// Body of reserve: stock is held until the time to live has passed, at prices that are fixed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// Products; lines of the same product are summed.
    pub items: Vec<Item>,
    /// Currency of the prices.
    pub currency: Currency,
    /// Time to live in seconds; the provider caps it.
    pub ttl_secs: u32,
}

/// A quantity of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The product.
    pub product_id: ProductId,
    /// Units.
    pub quantity: u32,
}

/// Answer of reserve, status 200; [`ReserveProblem`] otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Where it stands.
    pub status: ReservationStatus,
    /// Until when the stock is held.
    pub expires_at: DateTime<Utc>,
    /// Lines with the prices that were fixed.
    pub lines: Vec<Line>,
    /// Sum of the lines.
    pub total: Money,
}

/// Status of a reservation that holds stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    /// Reserved until it expires.
    Held,
    /// Sold to an order.
    Claimed,
}

/// One product of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// Its stock keeping unit.
    pub sku: String,
    /// Its title.
    pub title: String,
    /// Units.
    pub quantity: u32,
    /// Price of one unit.
    pub unit_price: Money,
    /// Price of the line.
    pub line_total: Money,
}

/// Why stock was not reserved. Nothing is held then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ReserveProblem {
    /// Not enough stock.
    OutOfStock {
        /// The items that are short.
        errors: Vec<Shortage>,
    },
    /// Some products are unknown, or have no price in the currency.
    ItemRefused {
        /// The items that cannot be sold.
        errors: Vec<FieldProblem>,
    },
    /// The request is not valid, such as a sum that does not fit.
    Invalid {
        /// The fields.
        errors: Vec<FieldProblem>,
    },
    /// The reservation expired or was released.
    ReservationExpired,
    /// The id was used for other items.
    ReservationMismatch,
}

/// An item of which there is not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Path of the item in the request, such as `items[0]`.
    pub field: String,
    /// For people.
    pub message: String,
    /// Units that could be reserved at that moment.
    pub available: i64,
}

impl Problem for ReserveProblem {
    fn status(&self) -> u16 {
        match self {
            Self::ItemRefused { .. } | Self::Invalid { .. } => 422,
            Self::OutOfStock { .. } | Self::ReservationExpired | Self::ReservationMismatch => 409,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::OutOfStock { .. } => "out_of_stock",
            Self::ItemRefused { .. } => "item_refused",
            Self::Invalid { .. } => "invalid",
            Self::ReservationExpired => "reservation_expired",
            Self::ReservationMismatch => "reservation_mismatch",
        }
    }
}

/// Body of claim, answered with 200 without a body: the stock is sold to this order. [`ClaimProblem`] otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The order that the stock is sold to.
    pub order_id: OrderId,
}

/// Why a reservation was not claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ClaimProblem {
    /// It expired or was released.
    ReservationExpired,
    /// It is sold to another order.
    ReservationMismatch,
    /// It was never made.
    NotFound,
}

impl Problem for ClaimProblem {
    fn status(&self) -> u16 {
        match self {
            Self::ReservationExpired | Self::ReservationMismatch => 409,
            Self::NotFound => 404,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ReservationExpired => "reservation_expired",
            Self::ReservationMismatch => "reservation_mismatch",
            Self::NotFound => "not_found",
        }
    }
}
