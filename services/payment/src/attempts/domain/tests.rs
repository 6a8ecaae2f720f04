mod answers;
mod properties;
mod requests;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, PaymentId, UserId};

use super::answer::{Decision, decide};
use super::attempt::{Attempt, InFlight, Stage, Terms};
use super::operation::{AUTHORISE, Kind, Operation, State};
use super::request::{Change, Refusal};
use super::step::{Incident, Step};
use crate::providers::Outcome;

/// An attempt with its operations: what the tables hold.
#[derive(Debug, Clone)]
struct Books {
    attempt: Attempt,
    operations: Vec<Operation>,
    steps: Vec<Step>,
}

impl Books {
    fn requested(minor: i64) -> Self {
        let terms = Terms {
            order_id: OrderId::from_uuid(Uuid::from_u128(1)),
            user_id: UserId::from_uuid(Uuid::from_u128(2)),
            amount: Money::new(minor, Currency::new("EUR").unwrap()),
            method: "double".parse().unwrap(),
        };
        let id = PaymentId::from_uuid(Uuid::from_u128(3));
        let step = Attempt::request(id, terms, DateTime::<Utc>::UNIX_EPOCH);
        Self {
            attempt: step.attempt.clone(),
            operations: step.opened.clone(),
            steps: vec![step],
        }
    }

    fn authorised(minor: i64) -> Self {
        let mut books = Self::requested(minor);
        books.answer(AUTHORISE, &Outcome::Done);
        books
    }

    fn captured(minor: i64) -> Self {
        let mut books = Self::authorised(minor);
        books.apply(books.attempt.clone().capture("c", None));
        books.answer("c", &Outcome::Done);
        books
    }

    /// What the store does with a step, with the checks of its tables.
    fn write(&mut self, step: Step) {
        for opened in &step.opened {
            assert!(
                self.find(&opened.id).is_none(),
                "{} opened twice",
                opened.id
            );
            self.operations.push(opened.clone());
        }
        for closed in &step.closed {
            let known = self.operations.iter_mut().find(|op| op.id == closed.id);
            let known = known.unwrap_or_else(|| panic!("{} was never opened", closed.id));
            assert_eq!(known.state, State::Requested, "{} decided twice", closed.id);
            *known = closed.clone();
        }
        assert!(
            allowed(&self.attempt.stage, &step.attempt.stage),
            "{step:?}"
        );
        self.attempt = step.attempt.clone();
        self.steps.push(step);
    }

    fn find(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|op| op.id == id)
    }

    fn apply(&mut self, change: Result<Change, Refusal>) -> bool {
        match change {
            Ok(Change::Step(step)) => {
                self.write(*step);
                true
            }
            Ok(Change::Unchanged(attempt)) => {
                assert_eq!(*attempt, self.attempt);
                false
            }
            Err(_) => false,
        }
    }

    fn answer(&mut self, id: &str, outcome: &Outcome) -> Decision {
        let operation = self.find(id).unwrap_or_else(|| panic!("no operation {id}"));
        let decision = decide(self.attempt.clone(), operation, outcome);
        if let Some(step) = decision.step.clone() {
            self.write(step);
        }
        decision
    }

    fn open(&self) -> Vec<String> {
        let open = self.operations.iter().filter(|op| !op.state.is_decided());
        open.map(|op| op.id.clone()).collect()
    }

    /// The balances of the ledger: customer, authorised, captured.
    fn balances(&self) -> (i64, i64, i64) {
        use crate::ledger::domain::Account;
        let moves = self.steps.iter().flat_map(|step| &step.movements);
        let entries = moves.flat_map(|(_, movement)| &movement.entries);
        entries.fold(
            (0, 0, 0),
            |(customer, authorised, captured), (account, minor)| match account {
                Account::Customer => (customer + minor, authorised, captured),
                Account::Authorised => (customer, authorised + minor, captured),
                Account::Captured => (customer, authorised, captured + minor),
            },
        )
    }

    fn failures(&self) -> usize {
        self.steps.iter().filter(|step| step.failed).count()
    }
}

/// The transitions that the table allows.
fn allowed(from: &Stage, to: &Stage) -> bool {
    match from {
        Stage::Requested => matches!(
            to,
            Stage::Requested
                | Stage::Pending
                | Stage::RequiresAction { .. }
                | Stage::Authorised
                | Stage::Declined { .. }
        ),
        Stage::Pending | Stage::RequiresAction { .. } => matches!(
            to,
            Stage::Pending
                | Stage::RequiresAction { .. }
                | Stage::Authorised
                | Stage::Declined { .. }
                | Stage::Voided
        ),
        Stage::Authorised => {
            matches!(
                to,
                Stage::Authorised | Stage::Captured { .. } | Stage::Voided
            )
        }
        Stage::Captured { .. } => matches!(to, Stage::Captured { .. } | Stage::Refunded { .. }),
        Stage::Declined { .. } | Stage::Voided | Stage::Refunded { .. } => {
            from.as_str() == to.as_str()
        }
    }
}

fn declined() -> Outcome {
    Outcome::Declined {
        reason: "card_declined".into(),
    }
}

fn requires_action() -> Outcome {
    Outcome::RequiresAction {
        url: "https://pay.example/3ds".into(),
    }
}
