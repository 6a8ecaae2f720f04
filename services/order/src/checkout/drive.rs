//! Executes what [`decide`] decides, one effect at a time.
//!
//! No connection is held while a service is called. Every write names the version that was read: a driver that lost its lease
//! fails at its next write, and stops. Two drivers at once do no harm in between, because every effect is idempotent by an id
//! that was created when the checkout started.

use std::collections::HashMap;
use std::sync::Arc;

use outbox::idempotency::{self, Answer as Response, Begin};
use service::{Core, StoreError};
use vocabulary::OrderId;

use crate::checkout::commit::{self, DriveError, LEASE, failed_together};
use crate::checkout::domain::{Answer, Checkout, Effect, Write, decide, resume};
use crate::checkout::effects::execute;
use crate::checkout::store::checkouts::{self, Start, Starting};
use crate::clients::Unavailable;
use crate::spec::SCHEMA;
use crate::state::AppState;

/// How far a checkout was driven.
#[derive(Debug)]
pub enum Driven {
    /// The client's response is decided and stored.
    Responded(Response),
    /// Not decided yet: it goes on in so many seconds.
    Waiting(u32),
    /// It was decided before, and is over now.
    Ended,
}

/// Result of starting a checkout.
#[derive(Debug)]
pub enum Started {
    /// To be driven by the caller.
    Ours(Box<Checkout>),
    /// The same request was answered before.
    Responded(Response),
    /// The same request is being processed.
    InFlight,
    /// The key was used for another request.
    Mismatch,
}

/// One commit: the key is claimed and the checkout is stored, before any other service is called. A key that is claimed already
/// leads to its own checkout.
pub async fn start(app: &AppState, mut checkout: Checkout) -> Result<Started, DriveError> {
    let Some(key) = commit::key(&checkout)? else {
        return Ok(Started::Mismatch);
    };
    checkout.traceparent = chassis::trace::current();
    let starting = Starting {
        checkout: checkout.clone(),
        key: key.clone(),
    };
    let result = store(app, starting).await?;
    if result == Start::Started {
        return Ok(Started::Ours(Box::new(checkout)));
    }
    let now = app.core.now();
    let mut conn = app.core.acquire().await?;
    match result {
        Start::Started | Start::Twin => {}
        Start::KeyTaken => match idempotency::look(&mut conn, SCHEMA, &key).await? {
            Begin::Replay(response) => return Ok(Started::Responded(response)),
            Begin::Mismatch => return Ok(Started::Mismatch),
            Begin::Fresh | Begin::InFlight => {}
        },
    }
    // The checkout that was started under the same key is taken over, unless it is being driven.
    let (user, key) = (checkout.user_id, &checkout.key);
    let taken = checkouts::take_by_key(&mut conn, user, key, now, now + LEASE).await?;
    Ok(match taken {
        Some(checkout) => {
            app.metrics.resumed.inc();
            Started::Ours(Box::new(checkout))
        }
        None => Started::InFlight,
    })
}

/// Stores a checkout together with those that start at the same time. On a task of its own: a client that disconnects interrupts
/// neither its own nor theirs.
async fn store(app: &AppState, starting: Starting) -> Result<Start, DriveError> {
    let (core, starts) = (app.core.clone(), Arc::clone(&app.starts));
    let storing = async move {
        let core = &core;
        let work = |starting: Vec<Starting>| async move {
            match start_all(core, &starting).await {
                Ok(mut stored) => {
                    let of = |one: &Starting| stored.remove(&one.checkout.id).map(Ok);
                    starting.iter().map(of).collect()
                }
                Err(error) => failed_together(starting.len(), error),
            }
        };
        if let Some(result) = starts.run(starting.clone(), work).await {
            return result;
        }
        let id = starting.checkout.id;
        let stored = start_all(core, &[starting]).await?.remove(&id);
        stored.ok_or(StoreError::stale(format_args!("checkout {id}")))
    };
    Ok(app.tasks.spawn("start checkout", storing).await??)
}

async fn start_all(
    core: &Core,
    starting: &[Starting],
) -> Result<HashMap<OrderId, Start>, StoreError> {
    let mut starting = starting.to_vec();
    starting.sort_by(|a, b| (&a.key.caller, &a.key.key).cmp(&(&b.key.caller, &b.key.key)));
    let now = core.now();
    let mut conn = core.acquire().await?;
    checkouts::start(&mut conn, &starting, now, now + LEASE).await
}

/// Drives a checkout until it ends or has to wait.
pub async fn drive(app: &AppState, mut checkout: Checkout) -> Result<Driven, DriveError> {
    let mut effect = resume(&checkout.persisted.stage);
    let mut response = None;
    let mut waiting = None;
    while let Some(current) = effect {
        match step(app, &mut checkout, current).await {
            Ok(stepped) => {
                effect = stepped.next;
                response = response.or(stepped.response);
                waiting = stepped.waiting;
            }
            // The client's response is stored; the periodic job undoes the rest.
            Err(error) if response.is_some() => {
                tracing::warn!(checkout = %checkout.id, %error, "undoing a checkout was interrupted");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(match (response, waiting) {
        (Some(response), _) => Driven::Responded(response),
        (None, Some(secs)) => Driven::Waiting(secs),
        (None, None) => Driven::Ended,
    })
}

/// What one step led to.
#[derive(Debug)]
pub struct Stepped {
    pub next: Option<Effect>,
    /// The client's response, at the step that decides it.
    pub response: Option<Response>,
    /// Seconds until the checkout goes on by itself.
    pub waiting: Option<u32>,
}

/// Executes one effect and writes what came of it.
pub async fn step(
    app: &AppState,
    checkout: &mut Checkout,
    effect: Effect,
) -> Result<Stepped, DriveError> {
    let answer = match execute(&app.clients, checkout, effect).await {
        Ok(answer) => answer,
        Err(unavailable) => {
            warn(checkout, effect, &unavailable);
            Answer::Unavailable(effect)
        }
    };
    count(app, effect, &answer);
    let step = decide(&checkout.persisted, answer, app.core.now())?;
    let waiting = match &step.write {
        Write::Retry(_, secs) | Write::KeepAwaiting(_, _, secs) => Some(*secs),
        Write::Nothing
        | Write::Advance(_)
        | Write::Place(_)
        | Write::AwaitPayment(..)
        | Write::TurnBack(_) => None,
    };
    Ok(Stepped {
        next: step.next,
        response: commit::write(app, checkout, step.write).await?,
        waiting,
    })
}

fn count(app: &AppState, effect: Effect, answer: &Answer) {
    let outcome = match answer {
        Answer::Refused(_) => "refused",
        Answer::Unavailable(_) => "unavailable",
        Answer::PaymentOpen(_) => "open",
        Answer::Reserved(_)
        | Answer::Authorised
        | Answer::Claimed
        | Answer::Undone
        | Answer::Cancelled => "done",
    };
    let labels = [effect.as_str(), outcome];
    app.metrics.commands.with_label_values(&labels).inc();
}

fn warn(checkout: &Checkout, effect: Effect, unavailable: &Unavailable) {
    let error: &dyn std::error::Error = unavailable;
    tracing::warn!(checkout = %checkout.id, effect = effect.as_str(), error, "service unavailable");
}
