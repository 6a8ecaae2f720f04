//! What handlers and consumers ask for: commits the intent, and executes it where the caller waits for the answer.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use service::{Core, StoreError};
use sqlx::PgConnection;
use vocabulary::PaymentId;

use super::domain::attempt::{Attempt, Terms};
use super::domain::operation::{Kind, State};
use super::domain::request::Change;
use super::domain::step::Step;
use super::execute::{OperateError, answer_locally, commit_step, count_local, execute};
use super::publish::events_of;
use super::store::queue::Intent;
use super::store::read::{self, Record};
use super::store::write::{self, New, insert_cancelled};
use crate::metrics::Counted;
use crate::state::AppState;

/// A request waits this long for the provider; the worker asks again. Less than what our callers wait for us.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The worker leaves an operation to the request that opened it for this long.
const LEASE: TimeDelta = TimeDelta::seconds(10);

/// What an operation came to.
#[derive(Debug)]
pub(crate) struct Done {
    /// The payment after it.
    pub attempt: Attempt,
    /// The provider has not decided; the worker goes on.
    pub open: bool,
}

/// Requests the authorisation, once per id: the same terms get the same payment, other terms a refusal.
pub(crate) async fn authorise(
    app: &AppState,
    id: PaymentId,
    terms: Terms,
) -> Result<Attempt, OperateError> {
    let now = app.core.now();
    let step = answer_locally(app, Attempt::request(id, terms, now)).await;
    if !insert(app, &step).await? {
        app.metrics.count(Kind::Authorise, Counted::Already);
        let mut conn = app.core.acquire().await?;
        return known(&mut conn, &step.attempt).await;
    }
    count_local(app, &step);
    let Some(operation) = step.first_open() else {
        return Ok(step.attempt);
    };
    // The intent is committed: if the answer cannot be, the worker asks for it again.
    match execute(app, &Intent::first(&step.attempt, operation), ANSWER_WITHIN).await {
        Ok(settled) => Ok(settled.attempt.unwrap_or(step.attempt)),
        Err(error) => {
            tracing::warn!(payment = %id, error = &error as &dyn std::error::Error, "authorisation left to the worker");
            Ok(step.attempt)
        }
    }
}

/// Commits a new attempt, together with those that are requested at the same time. False if the id is taken.
async fn insert(app: &AppState, step: &Step) -> Result<bool, OperateError> {
    let (core, id) = (&app.core, step.attempt.id);
    let new = New {
        step: step.clone(),
        events: events_of(app, step, core.now())?,
    };
    let work = |new: Vec<New>| async move {
        let mut seen = HashSet::new();
        let once = new.iter().filter(|new| seen.insert(new.step.attempt.id));
        let mut once: Vec<_> = once.cloned().collect();
        once.sort_by_key(|new| new.step.attempt.id);
        let mut inserted = store_new(core, &once).await.unwrap_or_else(|error| {
            let error: &dyn std::error::Error = &error;
            tracing::info!(error, "payments not stored together: each by itself");
            HashSet::new()
        });
        // An id that is asked for twice is the first one's.
        let own = |new: &New| inserted.remove(&new.step.attempt.id).then_some(());
        new.iter().map(own).collect()
    };
    if app.requests.run(new.clone(), work).await.is_some() {
        return Ok(true);
    }
    Ok(store_new(core, &[new]).await?.contains(&id))
}

async fn store_new(core: &Core, new: &[New]) -> Result<HashSet<PaymentId>, StoreError> {
    let now = core.now();
    let mut conn = core.acquire().await?;
    write::insert(&mut conn, new, now + LEASE, now).await
}

/// The payment that was requested under the same id.
async fn known(conn: &mut PgConnection, asked: &Attempt) -> Result<Attempt, OperateError> {
    match read::find(conn, asked.id).await? {
        Some(Record::Attempt(known)) if known.terms == asked.terms => Ok(known),
        Some(Record::Attempt(_)) => Err(OperateError::Mismatch),
        Some(Record::Cancelled) => Err(OperateError::Cancelled),
        // The insert saw it, and rows are never deleted.
        None => Err(OperateError::Unknown),
    }
}

/// An operation on a payment that exists.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// Takes so much, or all.
    Capture(Option<i64>),
    /// Gives the authorisation up.
    Void,
    /// Returns so much, or all.
    Refund(Option<i64>),
}

impl Ask {
    const fn kind(self) -> Kind {
        match self {
            Self::Capture(_) => Kind::Capture,
            Self::Void => Kind::Void,
            Self::Refund(_) => Kind::Refund,
        }
    }

    const fn minor(self) -> Option<i64> {
        match self {
            Self::Capture(minor) | Self::Refund(minor) => minor,
            Self::Void => None,
        }
    }

    fn change(self, attempt: Attempt, operation_id: &str) -> Result<Change, OperateError> {
        let change = match self {
            Self::Capture(minor) => attempt.capture(operation_id, minor),
            Self::Void => attempt.void(operation_id),
            Self::Refund(minor) => attempt.refund(operation_id, minor),
        };
        change.map_err(OperateError::Refused)
    }
}

/// Commits an operation, asks the provider, and commits the answer. The same operation id again changes nothing. A void of an
/// id that was never requested is remembered; it comes to no payment.
pub(crate) async fn operate(
    app: &AppState,
    id: PaymentId,
    operation_id: &str,
    ask: Ask,
) -> Result<Option<Done>, OperateError> {
    let now = app.core.now();
    let mut tx = app.core.begin().await?;
    let record = match ask {
        Ask::Void => lock_or_remember(&mut tx, id, now).await?,
        Ask::Capture(_) | Ask::Refund(_) => {
            let found = read::lock(&mut tx, id).await?;
            Some(found.ok_or(OperateError::Unknown)?)
        }
    };
    let attempt = match (record, ask) {
        (Some(Record::Attempt(attempt)), _) => attempt,
        (Some(Record::Cancelled) | None, Ask::Void) => {
            app.core.commit(tx).await?;
            return Ok(None);
        }
        (Some(Record::Cancelled) | None, Ask::Capture(_) | Ask::Refund(_)) => {
            return Err(OperateError::Cancelled);
        }
    };
    // Under the payment's lock: what another request did under this id is seen.
    if let Some(known) = read::find_operation(&mut tx, id, operation_id).await? {
        if known.kind != ask.kind() || ask.minor().is_some_and(|minor| minor != known.minor) {
            return Err(OperateError::Mismatch);
        }
        app.metrics.count(ask.kind(), Counted::Already);
        return finished(attempt, ask.kind(), Some(known.state)).map(Some);
    }
    let change = ask.change(attempt, operation_id).inspect_err(|_| {
        app.metrics.count(ask.kind(), Counted::Refused);
    })?;
    let step = match change {
        Change::Step(step) => answer_locally(app, *step).await,
        Change::Unchanged(attempt) => {
            app.metrics.count(ask.kind(), Counted::Already);
            let open = attempt.in_flight.is_some();
            return Ok(Some(Done {
                attempt: *attempt,
                open,
            }));
        }
    };
    commit_step(app, &mut tx, &step, now + LEASE).await?;
    app.core.commit(tx).await?;
    count_local(app, &step);
    let Some(operation) = step.first_open() else {
        let opened = step.opened.into_iter().find(|op| op.id == operation_id);
        return finished(step.attempt, ask.kind(), opened.map(|op| op.state)).map(Some);
    };
    let settled = execute(app, &Intent::first(&step.attempt, operation), ANSWER_WITHIN).await?;
    let after = settled.attempt.unwrap_or(step.attempt);
    finished(after, ask.kind(), settled.state).map(Some)
}

fn finished(attempt: Attempt, kind: Kind, state: Option<State>) -> Result<Done, OperateError> {
    let open = state == Some(State::Requested);
    match (kind, state) {
        (Kind::Capture | Kind::Refund, Some(State::Refused { reason })) => {
            Err(OperateError::Declined { kind, reason })
        }
        // A caller of void wants to be rid of the payment; that goes on until it is true.
        (Kind::Authorise | Kind::Capture | Kind::Void | Kind::Refund, _) => {
            Ok(Done { attempt, open })
        }
    }
}

/// Commits an operation that a consumer asks for, in the transaction of its inbox row; the worker executes it.
pub(crate) async fn commit_change(
    app: &AppState,
    conn: &mut PgConnection,
    change: Change,
) -> Result<bool, OperateError> {
    let step = match change {
        Change::Step(step) => answer_locally(app, *step).await,
        Change::Unchanged(_) => return Ok(false),
    };
    commit_step(app, conn, &step, app.core.now()).await?;
    count_local(app, &step);
    Ok(true)
}

/// The payment under its lock; if there is none, from now on there is a cancelled one.
pub(crate) async fn lock_or_remember(
    conn: &mut PgConnection,
    id: PaymentId,
    now: DateTime<Utc>,
) -> Result<Option<Record>, StoreError> {
    if let Some(record) = read::lock(conn, id).await? {
        return Ok(Some(record));
    }
    if insert_cancelled(conn, id, now).await? {
        return Ok(None);
    }
    // An authorisation came between the two statements, and is committed: it can be locked now.
    read::lock(conn, id).await
}
