//! One attempt to be paid: what is asked for, and how far it has come.

use chrono::{DateTime, Utc};
use vocabulary::{Money, OrderId, PaymentId, UserId};

use crate::providers::Method;

/// How far an attempt has come. Each variant holds exactly its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The intent is committed; the provider has not answered.
    Requested,
    /// The provider decides later.
    Pending,
    /// The payer has to act at `url`.
    RequiresAction {
        /// Where to send the payer.
        url: String,
    },
    /// The provider holds the amount.
    Authorised,
    /// The provider refused.
    Declined {
        /// The provider's reason code; unknown for rows older than the column.
        reason: Option<String>,
    },
    /// The authorisation was given up.
    Voided,
    /// Taken, and perhaps partly returned; in minor units.
    Captured {
        /// Taken.
        captured: i64,
        /// Returned, less than taken.
        refunded: i64,
        /// Part of refunds that the provider has not answered.
        refunding: i64,
    },
    /// All that was taken is returned.
    Refunded {
        /// Taken, and returned.
        captured: i64,
    },
}

impl Stage {
    /// The name on the wire and in the table.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::RequiresAction { .. } => "requires_action",
            Self::Authorised => "authorised",
            Self::Declined { .. } => "declined",
            Self::Voided => "voided",
            Self::Captured { .. } => "captured",
            Self::Refunded { .. } => "refunded",
        }
    }

    /// Minor units taken.
    pub const fn captured(&self) -> i64 {
        match self {
            Self::Captured { captured, .. } | Self::Refunded { captured } => *captured,
            Self::Requested
            | Self::Pending
            | Self::RequiresAction { .. }
            | Self::Authorised
            | Self::Declined { .. }
            | Self::Voided => 0,
        }
    }

    /// Minor units returned.
    pub const fn refunded(&self) -> i64 {
        match self {
            Self::Captured { refunded, .. } => *refunded,
            Self::Refunded { captured } => *captured,
            Self::Requested
            | Self::Pending
            | Self::RequiresAction { .. }
            | Self::Authorised
            | Self::Declined { .. }
            | Self::Voided => 0,
        }
    }

    /// Minor units of refunds that are not answered.
    pub const fn refunding(&self) -> i64 {
        match self {
            Self::Captured { refunding, .. } => *refunding,
            Self::Requested
            | Self::Pending
            | Self::RequiresAction { .. }
            | Self::Authorised
            | Self::Declined { .. }
            | Self::Voided
            | Self::Refunded { .. } => 0,
        }
    }
}

/// Who pays for what, how much, and how: the facts that never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What is paid for.
    pub order_id: OrderId,
    /// Who pays.
    pub user_id: UserId,
    /// The amount to hold.
    pub amount: Money,
    /// By which method.
    pub method: Method,
}

/// A capture or a void that the provider has not answered. One at a time: they exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// The capture of so many minor units.
    Capture(i64),
    /// The void.
    Void,
}

/// One attempt to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id, minted by the checkout.
    pub id: PaymentId,
    /// What was agreed.
    pub terms: Terms,
    /// How far it has come.
    pub stage: Stage,
    /// A capture or a void on its way.
    pub in_flight: Option<InFlight>,
    /// The money is no longer wanted: what an answer still brings is voided or refunded.
    pub cancelling: bool,
    /// When it was requested.
    pub created_at: DateTime<Utc>,
}

impl Attempt {
    /// An amount in the attempt's currency.
    pub fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.terms.amount.currency())
    }
}
