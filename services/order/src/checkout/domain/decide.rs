//! Each step of the checkout, decided in one place.

use chrono::{DateTime, Utc};

use super::checkout::Persisted;
use super::quote::Quote;
use super::refusal::{Reason, Refusal};
use super::retry::{gives_up, pause};
use super::stage::Stage;
use super::steps::Effect;
use crate::orders::domain::NextAction;

/// What came of the current effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The stock is reserved and the prices are fixed.
    Reserved(Quote),
    /// The payment is authorised.
    Authorised,
    /// The payment is open: the provider or the customer has yet to act.
    PaymentOpen(Option<NextAction>),
    /// The stock is sold to the order.
    Claimed,
    /// The current undo is done.
    Undone,
    /// A service refused, for good.
    Refused(Refusal),
    /// The owner cancels the order that awaits its payment.
    Cancelled,
    /// The service did not answer, or in a way that decides nothing. The effect may have happened.
    Unavailable(Effect),
}

/// What to write now, and what to do after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub write: Write,
    /// None: this driver is done, for now or for good.
    pub next: Option<Effect>,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Nothing. After a crash the effects since the last write are repeated, which changes nothing.
    Nothing,
    /// The stage.
    Advance(Stage),
    /// The placed order with its event, the client's response and the end of the checkout.
    Place(Quote),
    /// The order that awaits its payment, and the client's response.
    AwaitPayment(Quote, Option<NextAction>),
    /// The decision that there will be no order, and the client's response; an order that awaits its payment is cancelled.
    TurnBack(Stage),
    /// The payment is still open: what the customer has to do now, and then as [`Self::Retry`].
    KeepAwaiting(Option<NextAction>, Persisted, u32),
    /// The effect of this row again in so many seconds.
    Retry(Persisted, u32),
}

/// An answer that the stage cannot have asked for: a bug, not a refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a checkout that is {stage} does not expect {answer:?}")]
pub struct Unexpected {
    stage: &'static str,
    answer: Answer,
}

/// The effect of a row, on first sight or after a crash.
pub fn resume(stage: &Stage) -> Option<Effect> {
    match stage {
        Stage::Started => Some(Effect::Reserve),
        Stage::Reserved(_) | Stage::AwaitingPayment(_) => Some(Effect::Authorise),
        Stage::Authorised(_) => Some(Effect::Claim),
        Stage::Undoing(undo, _) => Some(Effect::Undo(*undo)),
        Stage::Placed | Stage::Failed(_) => None,
    }
}

/// One step: what is in the row and the answer to the current effect decide what is written and done next. Once a checkout
/// has turned back it never goes forward again, whatever arrives late.
pub fn decide(row: &Persisted, answer: Answer, now: DateTime<Utc>) -> Result<Step, Unexpected> {
    let stage = &row.stage;
    let step = match (stage, answer) {
        (Stage::Started, Answer::Reserved(quote)) => Step::advance(Stage::Reserved(quote)),
        (Stage::Reserved(_) | Stage::AwaitingPayment(_), Answer::Authorised) => Step {
            write: Write::Nothing,
            next: Some(Effect::Claim),
        },
        (Stage::Reserved(quote), Answer::PaymentOpen(action)) => {
            Step::last(Write::AwaitPayment(quote.clone(), action))
        }
        (Stage::AwaitingPayment(quote), Answer::PaymentOpen(action)) => {
            keep_awaiting(row, quote, action, now)
        }
        (
            Stage::Reserved(quote) | Stage::AwaitingPayment(quote) | Stage::Authorised(quote),
            Answer::Claimed,
        ) => Step::last(Write::Place(quote.clone())),
        (Stage::Undoing(undo, refusal), Answer::Undone) => Step::advance(match undo.then() {
            Some(next) => Stage::Undoing(next, refusal.clone()),
            None => Stage::Failed(refusal.clone()),
        }),
        (
            Stage::Started | Stage::Reserved(_) | Stage::AwaitingPayment(_) | Stage::Authorised(_),
            Answer::Refused(refusal),
        ) => turn_back(stage, refusal),
        (Stage::AwaitingPayment(_) | Stage::Authorised(_), Answer::Cancelled) => {
            turn_back(stage, Reason::Cancelled.into())
        }
        (_, Answer::Unavailable(effect)) if is_current(stage, effect) => {
            unavailable(row, effect, now)
        }
        (stage, answer) => {
            return Err(Unexpected {
                stage: stage.as_str(),
                answer,
            });
        }
    };
    Ok(step)
}

impl Step {
    fn advance(stage: Stage) -> Self {
        let next = resume(&stage);
        Self {
            write: Write::Advance(stage),
            next,
        }
    }

    const fn last(write: Write) -> Self {
        Self { write, next: None }
    }
}

/// The walk back begins with the undo of the last step that may have been asked for.
fn turn_back(stage: &Stage, refusal: Refusal) -> Step {
    let undos = stage.last_asked().map(Effect::undos).unwrap_or_default();
    let stage = match undos.first() {
        Some(first) => Stage::Undoing(*first, refusal),
        None => Stage::Failed(refusal),
    };
    Step {
        next: resume(&stage),
        write: Write::TurnBack(stage),
    }
}

/// An open payment is asked for until the stock is not reserved any more: the event that it is authorised only shortens the
/// wait, and may be lost.
fn keep_awaiting(
    row: &Persisted,
    quote: &Quote,
    action: Option<NextAction>,
    now: DateTime<Utc>,
) -> Step {
    if now >= quote.hold_expires_at {
        return turn_back(&row.stage, Reason::PaymentExpired.into());
    }
    let row = row.attempted();
    let secs = pause(row.attempts);
    Step::last(Write::KeepAwaiting(action, row, secs))
}

/// The effect that a row begins with, or the claim that follows it without a write.
fn is_current(stage: &Stage, effect: Effect) -> bool {
    let follows = effect == Effect::Claim && stage.quote().is_some();
    follows || resume(stage) == Some(effect)
}

fn unavailable(row: &Persisted, effect: Effect, now: DateTime<Utc>) -> Step {
    let row = match (&row.stage, effect) {
        // A claim without an answer may have happened. From here on it is repeated until it is answered.
        (Stage::Reserved(quote) | Stage::AwaitingPayment(quote), Effect::Claim) => {
            Persisted::from(Stage::Authorised(quote.clone())).attempted()
        }
        (Stage::AwaitingPayment(quote), _) if now >= quote.hold_expires_at => {
            return turn_back(&row.stage, Reason::PaymentExpired.into());
        }
        _ => row.attempted(),
    };
    // An order that awaits its payment is bounded by the reservation instead of by a number of attempts.
    let awaiting = matches!(row.stage, Stage::AwaitingPayment(_));
    if gives_up(effect, row.attempts) && !awaiting {
        return turn_back(&row.stage, Reason::Abandoned.into());
    }
    let secs = pause(row.attempts);
    Step::last(Write::Retry(row, secs))
}
