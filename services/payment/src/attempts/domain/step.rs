//! What a decision comes to: everything that one commit writes.

use super::attempt::Attempt;
use super::operation::{Operation, State};
use crate::ledger::domain::Movement;

/// A change to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The attempt after it.
    pub attempt: Attempt,
    /// New operations. One that is requested is then executed.
    pub opened: Vec<Operation>,
    /// Existing operations that are now decided.
    pub closed: Vec<Operation>,
    /// What moves in the ledger, by operation id. Each is published.
    pub movements: Vec<(String, Movement)>,
    /// The order has to learn that it will not be paid.
    pub failed: bool,
}

impl Step {
    /// A step that changes only the attempt.
    pub fn to(attempt: Attempt) -> Self {
        Self {
            attempt,
            opened: Vec::new(),
            closed: Vec::new(),
            movements: Vec::new(),
            failed: false,
        }
    }

    /// Also opens an operation.
    #[must_use]
    pub fn open(mut self, operation: Operation) -> Self {
        self.opened.push(operation);
        self
    }

    /// Also closes an operation.
    #[must_use]
    pub fn close(mut self, operation: &Operation, state: State) -> Self {
        self.closed.push(operation.now(state));
        self
    }

    /// Also moves money, by the operation.
    #[must_use]
    pub fn moving(mut self, operation: &Operation, movement: Movement) -> Self {
        self.movements.push((operation.id.clone(), movement));
        self
    }

    /// Also tells the order that it will not be paid.
    #[must_use]
    pub fn failing(mut self, failed: bool) -> Self {
        self.failed |= failed;
        self
    }

    /// The first new operation that is not decided.
    pub fn first_open(&self) -> Option<&Operation> {
        self.opened.iter().find(|op| op.state == State::Requested)
    }

    /// This step and the next one as one: what this one opens and the next one closes is opened decided.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.attempt = next.attempt;
        for closed in next.closed {
            match self.opened.iter_mut().find(|opened| opened.id == closed.id) {
                Some(opened) => *opened = closed,
                None => self.closed.push(closed),
            }
        }
        self.opened.extend(next.opened);
        self.movements.extend(next.movements);
        self.failed |= next.failed;
        self
    }
}

/// An answer that contradicts what is recorded: somebody has to compare the books with the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// Done, after it was recorded as refused.
    DoneAfterRefused,
    /// Refused, after it was recorded as done.
    RefusedAfterDone,
    /// Done on a payment that was voided.
    DoneAfterVoided,
    /// The provider keeps holding what was to be voided.
    VoidRefused,
    /// An answer that this kind of operation does not have.
    UnexpectedAnswer,
    /// A notification about an operation that was never requested.
    UnknownOperation,
}

impl Incident {
    /// Every kind of incident.
    pub const ALL: [Self; 6] = [
        Self::DoneAfterRefused,
        Self::RefusedAfterDone,
        Self::DoneAfterVoided,
        Self::VoidRefused,
        Self::UnexpectedAnswer,
        Self::UnknownOperation,
    ];

    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoneAfterRefused => "done_after_refused",
            Self::RefusedAfterDone => "refused_after_done",
            Self::DoneAfterVoided => "done_after_voided",
            Self::VoidRefused => "void_refused",
            Self::UnexpectedAnswer => "unexpected_answer",
            Self::UnknownOperation => "unknown_operation",
        }
    }
}
