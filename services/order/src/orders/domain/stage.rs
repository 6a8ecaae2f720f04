use chrono::{DateTime, Utc};

use super::next_action::NextAction;

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The stock is reserved; whether the payment is authorised is not decided yet.
    AwaitingPayment { next_action: Option<NextAction> },
    /// The payment is authorised and the stock is sold.
    Placed,
    /// The payment is captured.
    Paid { paid_at: DateTime<Utc> },
    /// It will not be delivered.
    Cancelled {
        cancelled_at: DateTime<Utc>,
        paid_at: Option<DateTime<Utc>>,
    },
}

impl Stage {
    /// The name on the wire and in the table.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::AwaitingPayment { .. } => "awaiting_payment",
            Self::Placed => "placed",
            Self::Paid { .. } => "paid",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    pub const fn paid_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::AwaitingPayment { .. } | Self::Placed => None,
            Self::Paid { paid_at } => Some(*paid_at),
            Self::Cancelled { paid_at, .. } => *paid_at,
        }
    }

    pub const fn cancelled_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::AwaitingPayment { .. } | Self::Placed | Self::Paid { .. } => None,
            Self::Cancelled { cancelled_at, .. } => Some(*cancelled_at),
        }
    }

    pub const fn next_action(&self) -> Option<&NextAction> {
        match self {
            Self::AwaitingPayment { next_action } => next_action.as_ref(),
            Self::Placed | Self::Paid { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// True where the owner may still cancel.
    pub const fn is_cancellable(&self) -> bool {
        match self {
            Self::AwaitingPayment { .. } | Self::Placed | Self::Paid { .. } => true,
            Self::Cancelled { .. } => false,
        }
    }
}
