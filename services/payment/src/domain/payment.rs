//! One payment: what was promised, taken and handed back.

use chrono::{DateTime, Utc};
use vocabulary::{Money, OrderId, PaymentId, UserId};

use super::ledger::Movement;
use super::provider::{Method, Verdict};

/// Where a payment stands. Each variant holds exactly its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Promised in full.
    Authorised,
    /// The provider refused the promise.
    Declined,
    /// The promise was handed back.
    Voided,
    /// Taken, and perhaps partly handed back; in minor units.
    Captured {
        /// Taken.
        captured: i64,
        /// Handed back, less than taken.
        refunded: i64,
    },
    /// All that was taken is handed back.
    Refunded {
        /// Taken, and handed back.
        captured: i64,
    },
}

impl Stage {
    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Captured { .. } => "captured",
            Self::Refunded { .. } => "refunded",
        }
    }

    /// Minor units taken.
    pub const fn captured(self) -> i64 {
        match self {
            Self::Captured { captured, .. } | Self::Refunded { captured } => captured,
            Self::Authorised | Self::Declined | Self::Voided => 0,
        }
    }

    /// Minor units handed back.
    pub const fn refunded(self) -> i64 {
        match self {
            Self::Captured { refunded, .. } => refunded,
            Self::Refunded { captured } => captured,
            Self::Authorised | Self::Declined | Self::Voided => 0,
        }
    }
}

/// Who pays whom for what: the facts that never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What it pays for.
    pub order_id: OrderId,
    /// Who pays.
    pub user_id: UserId,
    /// How much is promised.
    pub amount: Money,
    /// How.
    pub method: Method,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id, minted by the checkout.
    pub id: PaymentId,
    /// What was agreed.
    pub terms: Terms,
    /// Where it stands.
    pub stage: Stage,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// Why an operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stage does not allow it.
    #[error("a payment that is {stage} cannot be {action}")]
    Stage {
        /// Where the payment stands.
        stage: &'static str,
        /// What was asked.
        action: &'static str,
    },
    /// More than there is, or nothing.
    #[error("the amount must be between 1 and {most}")]
    Amount {
        /// The most that can be moved, in minor units.
        most: i64,
    },
}

/// What an operation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The payment moves on, and so does money.
    Moved(Payment, Movement),
    /// It was done before.
    Already(Payment),
}

impl Payment {
    /// Asks the provider for the promise.
    pub fn authorise(id: PaymentId, terms: Terms, now: DateTime<Utc>) -> (Self, Option<Movement>) {
        let (stage, movement) = match terms.method.authorise() {
            Verdict::Approved => {
                let movement = Movement::authorise(terms.amount.minor());
                (Stage::Authorised, Some(movement))
            }
            Verdict::Declined => (Stage::Declined, None),
        };
        let payment = Self {
            id,
            terms,
            stage,
            created_at: now,
        };
        (payment, movement)
    }

    /// Takes what was promised, or `minor` of it. Once: again with the same amount is already done.
    pub fn capture(self, minor: Option<i64>) -> Result<Change, Refusal> {
        let authorised = self.terms.amount.minor();
        let minor = minor.unwrap_or(authorised);
        match self.stage {
            Stage::Authorised => {
                within(minor, authorised)?;
                let stage = Stage::Captured {
                    captured: minor,
                    refunded: 0,
                };
                let movement = Movement::capture(minor, authorised);
                Ok(Change::Moved(Self { stage, ..self }, movement))
            }
            Stage::Captured { captured, .. } | Stage::Refunded { captured }
                if captured == minor =>
            {
                Ok(Change::Already(self))
            }
            Stage::Captured { .. } | Stage::Refunded { .. } | Stage::Declined | Stage::Voided => {
                Err(self.refuse("captured"))
            }
        }
    }

    /// Hands the promise back. A promise that never was needs nothing.
    pub fn void(self) -> Result<Change, Refusal> {
        match self.stage {
            Stage::Authorised => {
                let movement = Movement::void(self.terms.amount.minor());
                let stage = Stage::Voided;
                Ok(Change::Moved(Self { stage, ..self }, movement))
            }
            Stage::Voided | Stage::Declined => Ok(Change::Already(self)),
            Stage::Captured { .. } | Stage::Refunded { .. } => Err(self.refuse("voided")),
        }
    }

    /// Hands back `minor` of what was taken, or all that is left of it.
    pub fn refund(self, minor: Option<i64>) -> Result<Change, Refusal> {
        match self.stage {
            Stage::Captured { captured, refunded } => {
                let left = captured - refunded;
                let minor = minor.unwrap_or(left);
                within(minor, left)?;
                let stage = if minor == left {
                    Stage::Refunded { captured }
                } else {
                    Stage::Captured {
                        captured,
                        refunded: refunded + minor,
                    }
                };
                Ok(Change::Moved(
                    Self { stage, ..self },
                    Movement::refund(minor),
                ))
            }
            Stage::Authorised | Stage::Voided | Stage::Declined | Stage::Refunded { .. } => {
                Err(self.refuse("refunded"))
            }
        }
    }

    /// Undoes the payment, whatever it has come to: the order is cancelled.
    pub fn cancel(self) -> Result<Change, Refusal> {
        match self.stage {
            Stage::Authorised => self.void(),
            Stage::Captured { .. } => self.refund(None),
            Stage::Voided | Stage::Declined | Stage::Refunded { .. } => Ok(Change::Already(self)),
        }
    }

    fn refuse(&self, action: &'static str) -> Refusal {
        Refusal::Stage {
            stage: self.stage.as_str(),
            action,
        }
    }
}

fn within(minor: i64, most: i64) -> Result<(), Refusal> {
    if (1..=most).contains(&minor) {
        Ok(())
    } else {
        Err(Refusal::Amount { most })
    }
}
