//! What is asked of this service: each request opens operations, or is refused.

use chrono::{DateTime, Utc};
use vocabulary::PaymentId;

use super::attempt::{Attempt, InFlight, Stage, Terms};
use super::operation::{AUTHORISE, Kind, Operation};
use super::step::Step;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stage does not allow it.
    #[error("a payment that is {stage} cannot be {action}")]
    Stage {
        /// How far the payment has come.
        stage: &'static str,
        /// What was asked for.
        action: &'static str,
    },
    /// More than there is, or nothing.
    #[error("the amount must be between 1 and {most}")]
    Amount {
        /// The most that can be moved, in minor units.
        most: i64,
    },
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is something to commit.
    Step(Box<Step>),
    /// It was requested or done before.
    Unchanged(Box<Attempt>),
}

impl Change {
    fn step(step: Step) -> Self {
        Self::Step(Box::new(step))
    }

    fn unchanged(attempt: Attempt) -> Self {
        Self::Unchanged(Box::new(attempt))
    }
}

impl Attempt {
    /// The intent to be paid: nothing is known yet.
    pub fn request(id: PaymentId, terms: Terms, now: DateTime<Utc>) -> Step {
        let minor = terms.amount.minor();
        let attempt = Self {
            id,
            terms,
            stage: Stage::Requested,
            in_flight: None,
            cancelling: false,
            created_at: now,
        };
        Step::to(attempt).open(Operation::requested(AUTHORISE, Kind::Authorise, minor))
    }

    /// Takes what is held, or `minor` of it. Once: again with the same amount changes nothing.
    pub fn capture(self, operation_id: &str, minor: Option<i64>) -> Result<Change, Refusal> {
        let authorised = self.terms.amount.minor();
        let minor = minor.unwrap_or(authorised);
        match (&self.stage, self.in_flight) {
            (Stage::Authorised, None) if !self.cancelling => {
                within(minor, authorised)?;
                let opened = Operation::requested(operation_id, Kind::Capture, minor);
                let in_flight = Some(InFlight::Capture(minor));
                Ok(Change::step(
                    Step::to(Self { in_flight, ..self }).open(opened),
                ))
            }
            (Stage::Authorised, Some(InFlight::Capture(asked))) if asked == minor => {
                Ok(Change::unchanged(self))
            }
            (Stage::Captured { captured, .. } | Stage::Refunded { captured }, _)
                if *captured == minor =>
            {
                Ok(Change::unchanged(self))
            }
            (
                Stage::Requested
                | Stage::Pending
                | Stage::RequiresAction { .. }
                | Stage::Authorised
                | Stage::Captured { .. }
                | Stage::Refunded { .. }
                | Stage::Declined { .. }
                | Stage::Voided,
                _,
            ) => Err(self.refuse("captured")),
        }
    }

    /// Gives the authorisation up. If the provider has not answered yet, what it answers is voided then: an authorisation that
    /// may be on its way is never taken for one that does not exist.
    pub fn void(self, operation_id: &str) -> Result<Change, Refusal> {
        match (&self.stage, self.in_flight) {
            (Stage::Captured { .. } | Stage::Refunded { .. }, _)
            | (Stage::Authorised, Some(InFlight::Capture(_))) => Err(self.refuse("voided")),
            (
                Stage::Requested
                | Stage::Pending
                | Stage::RequiresAction { .. }
                | Stage::Authorised
                | Stage::Declined { .. }
                | Stage::Voided,
                _,
            ) => self.cancel(operation_id),
        }
    }

    /// Returns `minor` of what was taken, or all that is left of it.
    pub fn refund(self, operation_id: &str, minor: Option<i64>) -> Result<Change, Refusal> {
        match self.stage {
            Stage::Captured {
                captured,
                refunded,
                refunding,
            } => {
                let left = captured - refunded - refunding;
                let minor = minor.unwrap_or(left);
                within(minor, left)?;
                let stage = Stage::Captured {
                    captured,
                    refunded,
                    refunding: refunding + minor,
                };
                let opened = Operation::requested(operation_id, Kind::Refund, minor);
                Ok(Change::step(Step::to(Self { stage, ..self }).open(opened)))
            }
            Stage::Requested
            | Stage::Pending
            | Stage::RequiresAction { .. }
            | Stage::Authorised
            | Stage::Voided
            | Stage::Declined { .. }
            | Stage::Refunded { .. } => Err(self.refuse("refunded")),
        }
    }

    /// The money is not wanted any more, however far the attempt has come: what is held is voided, what was taken is returned,
    /// and so is what an answer still brings.
    pub fn cancel(self, operation_id: &str) -> Result<Change, Refusal> {
        let amount = self.terms.amount.minor();
        let cancelled = Self {
            cancelling: true,
            ..self.clone()
        };
        match (&self.stage, self.in_flight) {
            (Stage::Pending | Stage::RequiresAction { .. } | Stage::Authorised, None) => {
                let opened = Operation::requested(operation_id, Kind::Void, amount);
                let in_flight = Some(InFlight::Void);
                let attempt = Self {
                    in_flight,
                    ..cancelled
                };
                Ok(Change::step(Step::to(attempt).open(opened)))
            }
            (Stage::Requested, _) | (Stage::Authorised, Some(InFlight::Capture(_)))
                if !self.cancelling =>
            {
                Ok(Change::step(Step::to(cancelled)))
            }
            (Stage::Captured { .. }, _) => match cancelled.refund(operation_id, None) {
                // All that is left is being returned already.
                Err(Refusal::Amount { .. }) => Ok(Change::unchanged(self)),
                other => other,
            },
            (
                Stage::Requested
                | Stage::Pending
                | Stage::RequiresAction { .. }
                | Stage::Authorised
                | Stage::Declined { .. }
                | Stage::Voided
                | Stage::Refunded { .. },
                _,
            ) => Ok(Change::unchanged(self)),
        }
    }

    /// The provider, or the payer, has taken too long: the order learns that it will not be paid.
    pub fn expire(self) -> Option<Step> {
        let undecided = match self.stage {
            Stage::Requested | Stage::Pending | Stage::RequiresAction { .. } => !self.cancelling,
            Stage::Authorised
            | Stage::Declined { .. }
            | Stage::Voided
            | Stage::Captured { .. }
            | Stage::Refunded { .. } => false,
        };
        match self.cancel("expired") {
            Ok(Change::Step(step)) if undecided => Some(step.failing(true)),
            Ok(Change::Step(_) | Change::Unchanged(_)) | Err(_) => None,
        }
    }

    fn refuse(&self, action: &'static str) -> Refusal {
        let stage = match (&self.stage, self.in_flight, self.cancelling) {
            (Stage::Authorised, Some(InFlight::Void), _) | (Stage::Authorised, None, true) => {
                "being voided"
            }
            (Stage::Authorised, Some(InFlight::Capture(_)), _) => "being captured",
            (stage, _, _) => stage.as_str(),
        };
        Refusal::Stage { stage, action }
    }
}

fn within(minor: i64, most: i64) -> Result<(), Refusal> {
    if (1..=most).contains(&minor) {
        Ok(())
    } else {
        Err(Refusal::Amount { most })
    }
}
