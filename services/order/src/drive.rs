//! Executes what the checkout's state machine decides, one command at a time.
//!
//! No connection is held while a peer is asked. A step is written down before the next begins wherever a kill in between
//! would otherwise lose what was decided, and under the version that was read: a driver that lost its lease notices at its
//! next write, and stops. Two drivers at once do no harm in between, because
//! every command is idempotent by an id that was minted when the checkout started.

use chrono::{DateTime, TimeDelta, Utc};
use outbox::idempotency::{self, Answer, Begin, Key};
use outbox::{OutboxError, Row};
use vocabulary::{OrderId, UserId};

use crate::SCHEMA;
use crate::answer;
use crate::domain::cart::{Cart, Frozen};
use crate::domain::checkout::{
    Checkout, Command, Event, IllegalEvent, Patience, Refusal, Retry, Stage, next, resume, retry,
};
use crate::domain::order::Order;
use crate::peers::Unavailable;
use crate::state::AppState;
use crate::store::checkouts::Start;
use crate::store::orders::Placement;
use crate::store::{StoreError, checkouts, failed, orders};

/// A driver writes at least this often (between two writes it asks at most two peers, three seconds each); silent for
/// longer, it is dead and the checkout anybody's.
pub const LEASE: TimeDelta = TimeDelta::seconds(10);
/// The operation that idempotency keys of checkouts belong to.
const ROUTE: &str = "POST /v1/orders";

/// A step that could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The store failed, or the checkout is somebody else's by now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A bug in this room.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// A bug in this room.
    #[error("an answer is not JSON")]
    Json(#[from] serde_json::Error),
    /// A bug in this room: no key begins a checkout that is not legal.
    #[error("the key of {0} is not one")]
    Key(OrderId),
}

/// Where a step led.
#[derive(Debug)]
pub enum Step {
    /// There is more to do.
    Onward(Box<Checkout>),
    /// A peer did not answer; the checkout is put off for so many seconds.
    Waiting(u32),
    /// It has ended.
    Ended,
}

/// How far a drive got.
#[derive(Debug)]
pub enum Driven {
    /// The client's answer is decided.
    Answered(Answer),
    /// Not decided yet: come again in so many seconds.
    Waiting(u32),
    /// It had been decided before, and is over now.
    Ended,
}

/// What beginning a checkout comes to.
#[derive(Debug)]
pub enum Begun {
    /// To be driven by the caller.
    Ours(Box<Checkout>),
    /// The same was asked for before, and answered.
    Answered(Answer),
    /// The same was asked for before, and somebody is at it.
    InFlight,
    /// The key was used for something else.
    Mismatch,
}

/// One commit: the key is taken and the checkout is written down, before anybody is asked for anything. A key that is taken
/// already leads to its own checkout.
pub async fn begin(app: &AppState, mut checkout: Checkout) -> Result<Begun, DriveError> {
    let Some(key) = key(checkout.user_id, &checkout.key, &checkout.cart)? else {
        return Ok(Begun::Mismatch);
    };
    checkout.traceparent = chassis::trace::current();
    let now = app.clock.now();
    let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
    match checkouts::start(&mut conn, &checkout, &key, now, now + LEASE).await? {
        Start::Begun => return Ok(Begun::Ours(Box::new(checkout))),
        Start::Twin => {}
        Start::KeyTaken => match idempotency::look(&mut conn, SCHEMA, &key).await? {
            Begin::Replay(answer) => return Ok(Begun::Answered(answer)),
            Begin::Mismatch => return Ok(Begun::Mismatch),
            Begin::Fresh | Begin::InFlight => {}
        },
    }
    drop(conn);
    join(app, &checkout).await
}

/// The checkout that began under the same key goes on with the caller, unless somebody is at it.
async fn join(app: &AppState, twin: &Checkout) -> Result<Begun, DriveError> {
    let now = app.clock.now();
    let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
    let taken =
        checkouts::take_by_key(&mut conn, twin.user_id, &twin.key, now, now + LEASE).await?;
    Ok(match taken {
        Some(checkout) => {
            app.metrics.resumed.inc();
            Begun::Ours(Box::new(checkout))
        }
        None => Begun::InFlight,
    })
}

/// The idempotency key of a checkout, made of facts that its row keeps: whoever ends it can record the answer.
fn key(user_id: UserId, key: &str, cart: &Cart) -> Result<Option<Key>, serde_json::Error> {
    let fingerprint = serde_json::to_vec(cart)?;
    Ok(Key::new(
        user_id.as_uuid().to_string(),
        ROUTE,
        key,
        fingerprint,
    ))
}

/// Drives a checkout as far as it goes.
pub async fn drive(app: &AppState, mut checkout: Checkout) -> Result<Driven, DriveError> {
    let mut answer: Option<Answer> = None;
    loop {
        let id = checkout.id;
        let stepped = match (step(app, checkout).await, &answer) {
            (Ok(stepped), _) => stepped,
            (Err(error), None) => return Err(error),
            // The client's answer is recorded; the sweeper walks the rest of the way back.
            (Err(error), Some(_)) => {
                tracing::warn!(checkout = %id, %error, "walking back was interrupted");
                (Step::Ended, None)
            }
        };
        let (step, decided) = stepped;
        answer = decided.or(answer);
        match (step, answer) {
            (Step::Onward(further), decided) => {
                checkout = *further;
                answer = decided;
            }
            // Walking back goes on without the client: its answer does not depend on it.
            (Step::Waiting(_) | Step::Ended, Some(answer)) => return Ok(Driven::Answered(answer)),
            (Step::Waiting(secs), None) => return Ok(Driven::Waiting(secs)),
            (Step::Ended, None) => return Ok(Driven::Ended),
        }
    }
}

/// Executes one command and writes down what came of it. The answer is there at the step that decides it.
pub async fn step(
    app: &AppState,
    mut checkout: Checkout,
) -> Result<(Step, Option<Answer>), DriveError> {
    let Some(command) = resume(&checkout.stage).pop() else {
        return Ok((Step::Ended, None));
    };
    let name = command.as_str();
    let count = |outcome: &str| {
        let counter = &app.metrics.commands;
        counter.with_label_values(&[name, outcome]).inc();
    };
    let event = match execute(app, &checkout, command).await {
        Ok(event) => {
            let refused = matches!(event, Event::Refused(_));
            count(if refused { "refused" } else { "done" });
            event
        }
        Err(unavailable) => {
            count("unavailable");
            warn(&checkout, name, &unavailable);
            checkout.attempts = checkout.attempts.saturating_add(1);
            match retry(&checkout.stage, checkout.attempts, Patience::default()) {
                Retry::AfterSecs(secs) => return put_off(app, &checkout, secs).await,
                Retry::GiveUp => Event::GaveUp,
            }
        }
    };
    let was_forward = checkout.stage.refusal().is_none();
    let (stage, _) = next(checkout.stage, event)?;
    checkout.stage = stage;
    match checkout.stage.clone() {
        Stage::Claimed(frozen) => place(app, checkout, &frozen).await,
        Stage::Voiding(refusal) | Stage::Releasing(refusal) if was_forward => {
            turn_back(app, checkout, &refusal).await
        }
        // Not written: what is resumed from `Reserved` asks for the same again and hands the same back. It is written
        // as soon as it matters, when the claim is not answered.
        Stage::Authorised(_) => {
            checkout.attempts = 0;
            Ok((Step::Onward(Box::new(checkout)), None))
        }
        Stage::Started
        | Stage::Reserved(_)
        | Stage::Placed
        | Stage::Voiding(_)
        | Stage::Releasing(_)
        | Stage::Failed(_) => {
            let now = app.clock.now();
            let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
            checkout.version = checkouts::advance(&mut conn, &checkout, now, now + LEASE).await?;
            checkout.attempts = 0;
            Ok((Step::Onward(Box::new(checkout)), None))
        }
    }
}

fn warn(checkout: &Checkout, command: &str, unavailable: &Unavailable) {
    let error: &dyn std::error::Error = unavailable;
    tracing::warn!(checkout = %checkout.id, command, error, "a peer is away");
}

async fn execute(
    app: &AppState,
    checkout: &Checkout,
    command: Command,
) -> Result<Event, Unavailable> {
    let peers = &app.peers;
    Ok(match command {
        Command::Reserve => match peers.reserve(checkout).await? {
            Ok(frozen) => Event::Reserved(frozen),
            Err(refusal) => Event::Refused(refusal),
        },
        Command::Authorise(frozen) => match peers.authorise(checkout, frozen.total).await? {
            Ok(()) => Event::Authorised,
            Err(refusal) => Event::Refused(refusal),
        },
        Command::Claim => match peers.claim(checkout).await? {
            Ok(()) => Event::Claimed,
            Err(refusal) => Event::Refused(refusal),
        },
        // Placing is ours: it follows the claim in the same step, and has no stage of its own to resume from.
        Command::Place(_) => Event::Placed,
        Command::Void => {
            peers.void(checkout).await?;
            Event::Voided
        }
        Command::Release => {
            peers.release(checkout).await?;
            Event::Released
        }
    })
}

async fn put_off(
    app: &AppState,
    checkout: &Checkout,
    secs: u32,
) -> Result<(Step, Option<Answer>), DriveError> {
    let now = app.clock.now();
    let until = now + TimeDelta::seconds(i64::from(secs));
    let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
    checkouts::postpone(&mut conn, checkout, now, until).await?;
    Ok((Step::Waiting(secs), None))
}

/// One commit: the order, its event, the checkout's end and the client's answer.
async fn place(
    app: &AppState,
    checkout: Checkout,
    frozen: &Frozen,
) -> Result<(Step, Option<Answer>), DriveError> {
    let now = app.clock.now();
    let key = key(checkout.user_id, &checkout.key, &checkout.cart)?;
    let key = key.ok_or(DriveError::Key(checkout.id))?;
    let mut conn = app.pool.acquire().await.map_err(failed("acquire"))?;
    let number = orders::next_number(&mut conn).await?;
    let order = Order::place(&checkout, frozen, number, now);
    let answer = answer::placed(&order)?;
    let with = Placement {
        version: checkout.version,
        said: Row::of(app.meta(now), &order.placed())?,
        answer: &answer,
        key: &key,
    };
    orders::place(&mut conn, &order, with).await?;
    drop(conn);
    app.metrics
        .commands
        .with_label_values(&["place", "done"])
        .inc();
    app.metrics.placed.inc();
    app.metrics.outcomes.with_label_values(&["placed"]).inc();
    tracing::info!(order = %order.id, number = order.number, "order placed");
    Ok((Step::Ended, Some(answer)))
}

/// One commit: the decision to walk back, and the client's answer. Only after it is anything undone.
async fn turn_back(
    app: &AppState,
    mut checkout: Checkout,
    refusal: &Refusal,
) -> Result<(Step, Option<Answer>), DriveError> {
    let now: DateTime<Utc> = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(failed("begin"))?;
    checkout.version = checkouts::advance(&mut tx, &checkout, now, now + LEASE).await?;
    let answer = answer::refused(refusal)?;
    if let Some(key) = key(checkout.user_id, &checkout.key, &checkout.cart)? {
        idempotency::finish(&mut tx, SCHEMA, &key, &answer).await?;
    }
    tx.commit().await.map_err(failed("commit"))?;
    checkout.attempts = 0;
    let reason = refusal.reason.as_str();
    app.metrics.outcomes.with_label_values(&[reason]).inc();
    tracing::info!(checkout = %checkout.id, reason, "checkout refused");
    Ok((Step::Onward(Box::new(checkout)), Some(answer)))
}
