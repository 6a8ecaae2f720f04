use super::quote::Quote;
use super::refusal::Refusal;
use super::steps::{Effect, Undo};

/// Where a checkout stands in its row, with exactly the facts of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is known to be reserved.
    Started,
    /// The stock is reserved. The payment may be authorised and the stock claimed: neither is written before the order is.
    Reserved(Quote),
    /// The order exists and awaits its payment; the stock is reserved.
    AwaitingPayment(Quote),
    /// The payment is authorised, and a claim was asked for without an answer.
    Authorised(Quote),
    /// The order is placed. The end.
    Placed,
    /// There will be no order; this undo is next.
    Undoing(Undo, Refusal),
    /// There is no order and nothing is reserved. The end.
    Failed(Refusal),
}

impl Stage {
    /// The name in the table and in logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Reserved(_) => "reserved",
            Self::AwaitingPayment(_) => "awaiting_payment",
            Self::Authorised(_) => "authorised",
            Self::Placed => "placed",
            Self::Undoing(Undo::Void, _) => "voiding",
            Self::Undoing(Undo::Release, _) => "releasing",
            Self::Failed(_) => "failed",
        }
    }

    pub const fn quote(&self) -> Option<&Quote> {
        match self {
            Self::Reserved(quote) | Self::AwaitingPayment(quote) | Self::Authorised(quote) => {
                Some(quote)
            }
            Self::Started | Self::Placed | Self::Undoing(..) | Self::Failed(_) => None,
        }
    }

    pub const fn quote_mut(&mut self) -> Option<&mut Quote> {
        match self {
            Self::Reserved(quote) | Self::AwaitingPayment(quote) | Self::Authorised(quote) => {
                Some(quote)
            }
            Self::Started | Self::Placed | Self::Undoing(..) | Self::Failed(_) => None,
        }
    }

    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Undoing(_, refusal) | Self::Failed(refusal) => Some(refusal),
            Self::Started
            | Self::Reserved(_)
            | Self::AwaitingPayment(_)
            | Self::Authorised(_)
            | Self::Placed => None,
        }
    }

    /// True where an order that awaits its payment may exist.
    pub const fn may_have_order(&self) -> bool {
        matches!(self, Self::AwaitingPayment(_) | Self::Authorised(_))
    }

    /// The last step forward that may have been asked for without being written.
    pub(super) const fn last_asked(&self) -> Option<Effect> {
        match self {
            Self::Started => Some(Effect::Reserve),
            Self::Reserved(_) | Self::AwaitingPayment(_) | Self::Authorised(_) => {
                Some(Effect::Claim)
            }
            Self::Placed | Self::Undoing(..) | Self::Failed(_) => None,
        }
    }
}
