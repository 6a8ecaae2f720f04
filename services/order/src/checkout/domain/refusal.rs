use serde::{Deserialize, Serialize};

/// Why a checkout did not become an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub reason: Reason,
    /// The items that are the cause, where items are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemFault>,
}

/// What is wrong with one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFault {
    /// Path of the item, such as `items[0]`.
    pub field: String,
    pub message: String,
    /// Units that are in stock, where that is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

impl ItemFault {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            available: None,
        }
    }
}

/// The closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    OutOfStock,
    /// An item cannot be sold: unknown, or without a price in the currency.
    ItemRefused,
    /// The customer's account does not exist any more.
    CustomerUnknown,
    PaymentMethodUnknown,
    /// The provider declined.
    PaymentDeclined,
    /// The payment was not authorised while the stock was reserved.
    PaymentExpired,
    /// The reservation expired before the claim.
    ReservationExpired,
    /// The owner cancelled while the payment was open.
    Cancelled,
    /// A service was unavailable for too long.
    Abandoned,
}

impl Reason {
    /// The name in metrics and in the problem's code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out_of_stock",
            Self::ItemRefused => "item_refused",
            Self::CustomerUnknown => "customer_unknown",
            Self::PaymentMethodUnknown => "payment_method_unknown",
            Self::PaymentDeclined => "payment_declined",
            Self::PaymentExpired => "payment_expired",
            Self::ReservationExpired => "reservation_expired",
            Self::Cancelled => "order_cancelled",
            Self::Abandoned => "checkout_abandoned",
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            items: Vec::new(),
        }
    }
}
