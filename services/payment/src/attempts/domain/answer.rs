//! What a provider's answer comes to. Answers arrive from our own calls and from notifications, late, twice and in any order:
//! this function alone decides what one changes.

use super::attempt::{Attempt, InFlight, Stage};
use super::operation::{AUTHORISE, Kind, Operation, State};
use super::step::{Incident, Step};
use crate::ledger::domain::Movement;
use crate::providers::Outcome;

/// What to write after an answer, and what to report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// What changes; nothing if the answer is late, repeated, or contradicts what is recorded.
    pub step: Option<Step>,
    /// The contradiction, if there is one.
    pub incident: Option<Incident>,
}

impl Decision {
    fn nothing() -> Self {
        Self::default()
    }

    fn incident(incident: Incident) -> Self {
        Self {
            step: None,
            incident: Some(incident),
        }
    }
}

impl From<Step> for Decision {
    fn from(step: Step) -> Self {
        Self {
            step: Some(step),
            incident: None,
        }
    }
}

/// Decides what the answer to an operation changes.
pub fn decide(attempt: Attempt, operation: &Operation, outcome: &Outcome) -> Decision {
    match (&operation.state, outcome) {
        (State::Requested, Outcome::Done) => done(attempt, operation),
        (State::Requested, Outcome::Declined { reason }) => declined(attempt, operation, reason),
        (State::Requested, Outcome::Pending) => undecided(attempt, operation, Stage::Pending),
        (State::Requested, Outcome::RequiresAction { url }) => {
            let url = url.clone();
            undecided(attempt, operation, Stage::RequiresAction { url })
        }
        (State::Done, Outcome::Declined { .. }) => match (operation.kind, &attempt.stage) {
            // There was nothing to void in the end; either answer says so.
            (Kind::Void, Stage::Declined { .. }) => Decision::nothing(),
            _ => Decision::incident(Incident::RefusedAfterDone),
        },
        (State::Refused { .. }, Outcome::Done) => match (operation.kind, &attempt.stage) {
            // It was authorised before it was voided, and the messages changed places.
            (Kind::Authorise, Stage::Voided) | (Kind::Void, Stage::Declined { .. }) => {
                Decision::nothing()
            }
            (_, Stage::Voided) => Decision::incident(Incident::DoneAfterVoided),
            _ => Decision::incident(Incident::DoneAfterRefused),
        },
        (_, Outcome::Unknown)
        | (State::Done, Outcome::Done)
        | (State::Refused { .. }, Outcome::Declined { .. })
        // Late: overtaken by the answer that decided it.
        | (
            State::Done | State::Refused { .. },
            Outcome::Pending | Outcome::RequiresAction { .. },
        ) => Decision::nothing(),
    }
}

/// The provider has the operation and has not decided.
fn undecided(attempt: Attempt, operation: &Operation, stage: Stage) -> Decision {
    match (operation.kind, &stage) {
        (Kind::Authorise, _) => {}
        (Kind::Capture | Kind::Void | Kind::Refund, Stage::Pending) => return Decision::nothing(),
        (Kind::Capture | Kind::Void | Kind::Refund, _) => {
            return Decision::incident(Incident::UnexpectedAnswer);
        }
    }
    match attempt.stage {
        Stage::Requested | Stage::Pending | Stage::RequiresAction { .. } => {
            if attempt.stage == stage {
                return Decision::nothing();
            }
            // Asked once, when the provider is first known to have it: it may refuse to void what it has not decided.
            let first = attempt.stage == Stage::Requested;
            let step = Step::to(Attempt { stage, ..attempt });
            if first {
                return void_unwanted(step, operation, "cancel").into();
            }
            step.into()
        }
        Stage::Authorised
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Captured { .. }
        | Stage::Refunded { .. } => Decision::nothing(),
    }
}

/// Opens the void of an authorisation that was cancelled before the provider answered.
fn void_unwanted(mut step: Step, operation: &Operation, id: &str) -> Step {
    if step.attempt.cancelling && step.attempt.in_flight.is_none() {
        step.attempt.in_flight = Some(InFlight::Void);
        let amount = step.attempt.terms.amount.minor();
        return step.open(operation.follow_up(id, Kind::Void, amount));
    }
    step
}

fn done(attempt: Attempt, operation: &Operation) -> Decision {
    match operation.kind {
        Kind::Authorise => authorised(attempt, operation),
        Kind::Capture => captured(attempt, operation),
        Kind::Void => voided(attempt, operation),
        Kind::Refund => refunded(attempt, operation),
    }
}

fn authorised(attempt: Attempt, operation: &Operation) -> Decision {
    match attempt.stage {
        Stage::Requested | Stage::Pending | Stage::RequiresAction { .. } => {
            let movement = Movement::authorise(attempt.terms.amount.minor());
            let stage = Stage::Authorised;
            let step = Step::to(Attempt { stage, ..attempt })
                .close(operation, State::Done)
                .moving(operation, movement);
            void_unwanted(step, operation, "void").into()
        }
        Stage::Authorised
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Captured { .. }
        | Stage::Refunded { .. } => not_open(),
    }
}

/// If the order was cancelled meanwhile, the money goes back.
fn captured(attempt: Attempt, operation: &Operation) -> Decision {
    match attempt.stage {
        Stage::Authorised => {
            let (minor, authorised) = (operation.minor, attempt.terms.amount.minor());
            let refunding = if attempt.cancelling { minor } else { 0 };
            let stage = Stage::Captured {
                captured: minor,
                refunded: 0,
                refunding,
            };
            let step = Step::to(landed(Attempt { stage, ..attempt }))
                .close(operation, State::Done)
                .moving(operation, Movement::capture(minor, authorised));
            if refunding > 0 {
                let refund = operation.follow_up("refund", Kind::Refund, refunding);
                return step.open(refund).into();
            }
            step.into()
        }
        Stage::Requested
        | Stage::Pending
        | Stage::RequiresAction { .. }
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Captured { .. }
        | Stage::Refunded { .. } => not_open(),
    }
}

fn voided(attempt: Attempt, operation: &Operation) -> Decision {
    let amount = attempt.terms.amount.minor();
    let stage = Stage::Voided;
    match attempt.stage {
        Stage::Authorised => Step::to(landed(Attempt { stage, ..attempt }))
            .close(operation, State::Done)
            .moving(operation, Movement::void(amount))
            .into(),
        Stage::Pending | Stage::RequiresAction { .. } => {
            let authorisation = Operation::requested(AUTHORISE, Kind::Authorise, amount);
            let reason = "voided".to_owned();
            Step::to(landed(Attempt { stage, ..attempt }))
                .close(operation, State::Done)
                .close(&authorisation, State::Refused { reason })
                .into()
        }
        // It was declined before the void arrived.
        Stage::Declined { .. } => Step::to(landed(attempt))
            .close(operation, State::Done)
            .into(),
        Stage::Requested | Stage::Voided | Stage::Captured { .. } | Stage::Refunded { .. } => {
            not_open()
        }
    }
}

fn refunded(attempt: Attempt, operation: &Operation) -> Decision {
    match attempt.stage {
        Stage::Captured {
            captured,
            refunded,
            refunding,
        } => {
            let refunded = refunded + operation.minor;
            let stage = if refunded == captured {
                Stage::Refunded { captured }
            } else {
                Stage::Captured {
                    captured,
                    refunded,
                    refunding: refunding - operation.minor,
                }
            };
            Step::to(Attempt { stage, ..attempt })
                .close(operation, State::Done)
                .moving(operation, Movement::refund(operation.minor))
                .into()
        }
        Stage::Requested
        | Stage::Pending
        | Stage::RequiresAction { .. }
        | Stage::Authorised
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Refunded { .. } => not_open(),
    }
}

fn declined(attempt: Attempt, operation: &Operation, reason: &str) -> Decision {
    let reason = reason.to_owned();
    match operation.kind {
        Kind::Authorise => authorise_declined(attempt, operation, reason),
        Kind::Capture => capture_declined(attempt, operation, reason),
        Kind::Void => void_declined(attempt, operation, reason),
        Kind::Refund => refund_declined(attempt, operation, reason),
    }
}

fn authorise_declined(attempt: Attempt, operation: &Operation, reason: String) -> Decision {
    match attempt.stage {
        Stage::Requested | Stage::Pending | Stage::RequiresAction { .. } => {
            // A cancelled order knows already that it will not be paid.
            let news = !attempt.cancelling;
            let stage = Stage::Declined {
                reason: Some(reason.clone()),
            };
            Step::to(Attempt { stage, ..attempt })
                .close(operation, State::Refused { reason })
                .failing(news)
                .into()
        }
        Stage::Authorised
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Captured { .. }
        | Stage::Refunded { .. } => not_open(),
    }
}

/// The order is told, and what is held is given up.
fn capture_declined(attempt: Attempt, operation: &Operation, reason: String) -> Decision {
    match attempt.stage {
        Stage::Authorised => {
            let (news, amount) = (!attempt.cancelling, attempt.terms.amount.minor());
            let attempt = Attempt {
                in_flight: Some(InFlight::Void),
                cancelling: true,
                ..attempt
            };
            Step::to(attempt)
                .close(operation, State::Refused { reason })
                .open(operation.follow_up("void", Kind::Void, amount))
                .failing(news)
                .into()
        }
        Stage::Requested
        | Stage::Pending
        | Stage::RequiresAction { .. }
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Captured { .. }
        | Stage::Refunded { .. } => not_open(),
    }
}

fn void_declined(attempt: Attempt, operation: &Operation, reason: String) -> Decision {
    let incident = match attempt.stage {
        Stage::Authorised => Some(Incident::VoidRefused),
        // It cannot be voided yet, or needs not: the authorisation's own answer decides.
        Stage::Pending | Stage::RequiresAction { .. } | Stage::Declined { .. } => None,
        Stage::Requested | Stage::Voided | Stage::Captured { .. } | Stage::Refunded { .. } => {
            return not_open();
        }
    };
    Decision {
        step: Some(Step::to(landed(attempt)).close(operation, State::Refused { reason })),
        incident,
    }
}

fn refund_declined(attempt: Attempt, operation: &Operation, reason: String) -> Decision {
    match attempt.stage {
        Stage::Captured {
            captured,
            refunded,
            refunding,
        } => {
            let stage = Stage::Captured {
                captured,
                refunded,
                refunding: refunding - operation.minor,
            };
            Step::to(Attempt { stage, ..attempt })
                .close(operation, State::Refused { reason })
                .into()
        }
        Stage::Requested
        | Stage::Pending
        | Stage::RequiresAction { .. }
        | Stage::Authorised
        | Stage::Declined { .. }
        | Stage::Voided
        | Stage::Refunded { .. } => not_open(),
    }
}

/// No operation of the kind is open in the attempt's stage: the rows contradict each other.
fn not_open() -> Decision {
    Decision::incident(Incident::UnexpectedAnswer)
}

/// The capture or void that was on its way has arrived.
fn landed(attempt: Attempt) -> Attempt {
    Attempt {
        in_flight: None,
        ..attempt
    }
}
