use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use vocabulary::Money;

use crate::orders::domain::Line;

/// What the reservation fixed: neither a price nor the customer's address changes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub email: String,
    pub lines: Vec<Line>,
    pub total: Money,
    /// The order's number, given by the store when the reservation is written. Rows from before the field existed have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Until when the stock is reserved; a payment that is open then is given up. Rows from before the field existed do not
    /// await a payment.
    #[serde(default)]
    pub hold_expires_at: DateTime<Utc>,
}
