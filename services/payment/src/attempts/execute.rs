//! Asks providers, and commits what they answer.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use outbox::{HandlerError, OutboxError};
use service::StoreError;
use sqlx::PgConnection;

use super::domain::answer::decide;
use super::domain::attempt::Attempt;
use super::domain::operation::{Kind, Operation, State};
use super::domain::request::Refusal;
use super::domain::step::{Incident, Step};
use super::publish::events_of;
use super::store::queue::{self, Intent};
use super::store::read::{self, Record};
use super::store::write::{Write, write};
use crate::metrics::Counted;
use crate::providers::{Key, Outcome, Provider, Request, call};
use crate::state::AppState;

/// An operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the provider refused the {}: {reason}", kind.as_str())]
    Declined { kind: Kind, reason: String },
    #[error("no such payment")]
    Unknown,
    #[error("the payment was cancelled before it was authorised")]
    Cancelled,
    #[error("this id was used for something else")]
    Mismatch,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl From<OperateError> for HandlerError {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Store(error) => error.into(),
            OperateError::Outbox(error) => error.into(),
            other => Self::transient(other),
        }
    }
}

impl Intent {
    /// An operation of an attempt that is about to be asked for the first time.
    pub(crate) fn first(attempt: &Attempt, operation: &Operation) -> Self {
        Self {
            request: request(attempt, operation),
            method: attempt.terms.method.clone(),
            calls: 1,
            created_at: attempt.created_at,
        }
    }
}

fn request(attempt: &Attempt, operation: &Operation) -> Request {
    Request {
        key: Key {
            payment_id: attempt.id,
            operation_id: operation.id.clone(),
        },
        kind: operation.kind,
        amount: attempt.money(operation.minor),
        order_id: attempt.terms.order_id,
    }
}

/// Answers what a step opens, where the provider needs no call: intent and answer are then one commit.
pub(crate) async fn answer_locally(app: &AppState, mut step: Step) -> Step {
    let Some(provider) = app.providers.get(&step.attempt.terms.method) else {
        return step;
    };
    if !provider.is_local() {
        return step;
    }
    while let Some(operation) = step.first_open().cloned() {
        let outcome = call(provider, &request(&step.attempt, &operation)).await;
        match decide(step.attempt.clone(), &operation, &outcome).step {
            Some(next) => step = step.then(next),
            // Left to the worker.
            None => break,
        }
    }
    step
}

/// Asks the provider for a committed operation, and commits the answer. None of it is under a lock while the provider works.
pub(crate) async fn execute(
    app: &AppState,
    intent: &Intent,
    within: Duration,
) -> Result<Settled, OperateError> {
    let outcome = if let Some(provider) = app.providers.get(&intent.method) {
        let answer = tokio::time::timeout(within, ask(provider, intent));
        answer.await.unwrap_or(Outcome::Unknown)
    } else {
        tracing::error!(method = %intent.method, "no provider is configured for this method");
        Outcome::Unknown
    };
    let now = app.core.now();
    let mut tx = app.core.begin().await?;
    let settled = settle(app, &mut tx, &intent.request.key, &outcome).await?;
    if !settled.is_decided() {
        let due_at = now + backoff(intent.calls);
        queue::postpone(&mut tx, &intent.request.key, due_at).await?;
    }
    app.core.commit(tx).await?;
    settled.report(app, &intent.request.key, &outcome);
    if !settled.is_decided() {
        app.wake.notify_one();
    }
    Ok(settled)
}

async fn ask(provider: &dyn Provider, intent: &Intent) -> Outcome {
    // What was asked for before may have happened, or be decided by now.
    if intent.calls > 1
        && let Some(outcome) = provider.look_up(&intent.request).await
    {
        return outcome;
    }
    call(provider, &intent.request).await
}

/// The pause before an operation is asked for again: doubles from a second to a minute.
pub(crate) fn backoff(calls: u32) -> TimeDelta {
    TimeDelta::seconds(1 << calls.saturating_sub(1).min(6)).min(TimeDelta::seconds(60))
}

/// What an answer came to.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The attempt after it; none if there is no such operation.
    pub attempt: Option<Attempt>,
    /// How far the operation has come.
    pub state: Option<State>,
    kind: Option<Kind>,
    changed: bool,
    incident: Option<Incident>,
}

impl Settled {
    /// True if there is nothing to wait for.
    pub(crate) fn is_decided(&self) -> bool {
        self.state.as_ref().is_none_or(State::is_decided)
    }

    /// Counts and logs the answer, once it is committed.
    pub(crate) fn report(&self, app: &AppState, key: &Key, outcome: &Outcome) {
        let repeated = !self.changed && self.is_decided();
        let outcome_counted = if repeated {
            Counted::Already
        } else {
            counted(outcome)
        };
        if let Some(kind) = self.kind {
            app.metrics.count(kind, outcome_counted);
        }
        report_incident(app, key, self.incident, outcome);
    }
}

fn report_incident(app: &AppState, key: &Key, incident: Option<Incident>, outcome: &Outcome) {
    if let Some(incident) = incident {
        app.metrics.incident(incident);
        tracing::error!(
            incident = incident.as_str(), operation = %key, answer = ?outcome,
            "the provider's answer contradicts what is recorded; compare with the provider's books"
        );
    }
}

fn counted(outcome: &Outcome) -> Counted {
    match outcome {
        Outcome::Done => Counted::Moved,
        Outcome::Declined { .. } => Counted::Declined,
        Outcome::Pending => Counted::Pending,
        Outcome::RequiresAction { .. } => Counted::RequiresAction,
        Outcome::Unknown => Counted::Unreachable,
    }
}

/// Writes what an answer changes, in the caller's transaction. Calls and notifications end here alike.
pub(crate) async fn settle(
    app: &AppState,
    conn: &mut PgConnection,
    key: &Key,
    outcome: &Outcome,
) -> Result<Settled, OperateError> {
    let operation = match read::lock(conn, key.payment_id).await? {
        Some(Record::Attempt(attempt)) => {
            let found = read::find_operation(conn, key.payment_id, &key.operation_id).await?;
            found.map(|operation| (attempt, operation))
        }
        Some(Record::Cancelled) | None => None,
    };
    let Some((attempt, operation)) = operation else {
        return Ok(Settled {
            attempt: None,
            state: None,
            kind: None,
            changed: false,
            incident: Some(Incident::UnknownOperation),
        });
    };
    let decision = decide(attempt.clone(), &operation, &outcome.bounded());
    let changed = decision.step.is_some();
    let (mut state, mut after) = (operation.state, attempt);
    if let Some(step) = decision.step {
        let now = app.core.now();
        commit_step(app, conn, &step, now).await?;
        let closed = step.closed.into_iter().find(|op| op.id == operation.id);
        state = closed.map_or(state, |op| op.state);
        after = step.attempt;
    }
    Ok(Settled {
        attempt: Some(after),
        state: Some(state),
        kind: Some(operation.kind),
        changed,
        incident: decision.incident,
    })
}

/// Counts the operations that a committed step opened and decided at once.
pub(crate) fn count_local(app: &AppState, step: &Step) {
    for operation in &step.opened {
        match operation.state {
            State::Requested => {}
            State::Done => app.metrics.count(operation.kind, Counted::Moved),
            State::Refused { .. } => app.metrics.count(operation.kind, Counted::Declined),
        }
    }
}

/// Writes a step of a locked attempt with its events. What it opens is executed by the worker at once.
pub(crate) async fn commit_step(
    app: &AppState,
    conn: &mut PgConnection,
    step: &Step,
    due_at: DateTime<Utc>,
) -> Result<(), OperateError> {
    let now = app.core.now();
    let to_write = Write {
        events: events_of(app, step, now)?,
        due_at,
        now,
    };
    match write(conn, step, to_write).await {
        Ok(()) => Ok(()),
        // The id of an operation of another kind.
        Err(error) if error.constraint() == Some("operations_pkey") => Err(OperateError::Mismatch),
        Err(error) => Err(error.into()),
    }
}
