//! The checkout: forward to an order, or back to a clean slate. Nothing in between lasts.
//!
//! | stage      | command   | undone by |
//! |------------|-----------|-----------|
//! | started    | Reserve   | Release   |
//! | reserved   | Authorise | Void      |
//! | authorised | Claim     | nothing: the point of no return, once it is answered with yes |
//! | claimed    | Place     | nothing   |
//!
//! A refusal walks the table backwards: voiding, releasing, failed. The step that was refused is undone as well, because
//! an earlier attempt at it may still be under way at the peer; every peer remembers an undo that overtook its do.
//!
//! A claim that is not answered may have happened, so it is never given up: it is asked again until the answer is yes or
//! no. It ends by itself, because the hold runs out and the answer is no from then on.
//!
//! `authorised` becomes a row only then. A driver that is killed between the promise and the order leaves `reserved`: promise
//! and claim are asked for again, and should that have to be given up, void and release hand back what there is, a
//! claimed stock included.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use vocabulary::{Entropy, OrderId, PaymentId, ReservationId, UserId};

use super::cart::{Cart, Frozen};

/// Where a checkout stands, with exactly the facts of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Written down; nothing is known to be held.
    Started,
    /// Stock is held, prices are frozen.
    Reserved(Frozen),
    /// The money is promised.
    Authorised(Frozen),
    /// The stock is ours. Never a row by itself: the commit that places the order is its record, and a kill before that
    /// commit resumes from `Authorised`, where claiming again changes nothing.
    Claimed(Frozen),
    /// The order exists. The end.
    Placed,
    /// It will not become an order; the promise is being handed back.
    Voiding(Refusal),
    /// It will not become an order; the stock is being handed back.
    Releasing(Refusal),
    /// It did not become an order, and nothing is held. The end.
    Failed(Refusal),
}

/// Why a checkout did not become an order: what the client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind.
    pub reason: Reason,
    /// The items that are to blame, where items are to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemFault>,
}

/// What was wrong with one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ItemFault {
    /// Path of the item, such as `items[0]`.
    pub field: String,
    /// For people.
    pub message: String,
    /// Pieces that could be had, where that is the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

/// The closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not enough stock.
    OutOfStock,
    /// An item cannot be sold: unknown, or without a price in the currency.
    ItemRefused,
    /// The shopper's account is gone.
    CustomerUnknown,
    /// The payment method is unknown.
    PaymentMethodUnknown,
    /// The provider said no.
    PaymentDeclined,
    /// The hold ran out before the claim.
    ReservationExpired,
    /// A peer was away for too long.
    Abandoned,
}

impl Reason {
    /// The name in metrics and in the problem's code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out_of_stock",
            Self::ItemRefused => "item_refused",
            Self::CustomerUnknown => "customer_unknown",
            Self::PaymentMethodUnknown => "payment_method_unknown",
            Self::PaymentDeclined => "payment_declined",
            Self::ReservationExpired => "reservation_expired",
            Self::Abandoned => "checkout_abandoned",
        }
    }
}

/// What happened to the last command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Stock is held and prices are frozen.
    Reserved(Frozen),
    /// The money is promised.
    Authorised,
    /// The stock is ours.
    Claimed,
    /// The order is committed.
    Placed,
    /// The promise is handed back, or can never be made.
    Voided,
    /// The stock is handed back, or can never be held.
    Released,
    /// A peer said no, for good.
    Refused(Refusal),
    /// A peer did not answer, so often that it is enough.
    GaveUp,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Freeze the email, hold the stock.
    Reserve,
    /// Ask for the money.
    Authorise(Frozen),
    /// Make the held stock ours.
    Claim,
    /// Commit the order.
    Place(Frozen),
    /// Hand back the promise.
    Void,
    /// Hand back the stock.
    Release,
}

impl Command {
    /// The name in logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Authorise(_) => "authorise",
            Self::Claim => "claim",
            Self::Place(_) => "place",
            Self::Void => "void",
            Self::Release => "release",
        }
    }
}

/// An event that the stage does not know: a bug, not a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a checkout that is {stage} does not expect {event}")]
pub struct IllegalEvent {
    stage: &'static str,
    event: &'static str,
}

impl Event {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Reserved(_) => "reserved",
            Self::Authorised => "authorised",
            Self::Claimed => "claimed",
            Self::Placed => "placed",
            Self::Voided => "voided",
            Self::Released => "released",
            Self::Refused(_) => "refused",
            Self::GaveUp => "gave_up",
        }
    }
}

impl Stage {
    /// The name in the table and in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Reserved(_) => "reserved",
            Self::Authorised(_) => "authorised",
            Self::Claimed(_) => "claimed",
            Self::Placed => "placed",
            Self::Voiding(_) => "voiding",
            Self::Releasing(_) => "releasing",
            Self::Failed(_) => "failed",
        }
    }

    /// What the reservation froze, as long as it may become an order.
    pub const fn frozen(&self) -> Option<&Frozen> {
        match self {
            Self::Reserved(frozen) | Self::Authorised(frozen) | Self::Claimed(frozen) => {
                Some(frozen)
            }
            Self::Started
            | Self::Placed
            | Self::Voiding(_)
            | Self::Releasing(_)
            | Self::Failed(_) => None,
        }
    }

    /// Why it walks back or walked back.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Voiding(refusal) | Self::Releasing(refusal) | Self::Failed(refusal) => {
                Some(refusal)
            }
            Self::Started
            | Self::Reserved(_)
            | Self::Authorised(_)
            | Self::Claimed(_)
            | Self::Placed => None,
        }
    }
}

/// What a checkout in this stage has to do, now or after a kill: the same, since every command is idempotent.
pub fn resume(stage: &Stage) -> Vec<Command> {
    match stage {
        Stage::Started => vec![Command::Reserve],
        Stage::Reserved(frozen) => vec![Command::Authorise(frozen.clone())],
        Stage::Authorised(_) => vec![Command::Claim],
        Stage::Claimed(frozen) => vec![Command::Place(frozen.clone())],
        Stage::Voiding(_) => vec![Command::Void],
        Stage::Releasing(_) => vec![Command::Release],
        Stage::Placed | Stage::Failed(_) => vec![],
    }
}

/// One step. Once a checkout has turned back it never goes forward again, whatever arrives late.
pub fn next(stage: Stage, event: Event) -> Result<(Stage, Vec<Command>), IllegalEvent> {
    let abandoned = || Refusal {
        reason: Reason::Abandoned,
        items: Vec::new(),
    };
    let after = match (stage, event) {
        (Stage::Started, Event::Reserved(frozen)) => Stage::Reserved(frozen),
        (Stage::Reserved(frozen), Event::Authorised) => Stage::Authorised(frozen),
        (Stage::Authorised(frozen), Event::Claimed) => Stage::Claimed(frozen),
        (Stage::Claimed(_), Event::Placed) => Stage::Placed,

        // Where no promise was asked for yet, or it went back: only the stock goes back.
        (Stage::Started, Event::Refused(refusal)) | (Stage::Voiding(refusal), Event::Voided) => {
            Stage::Releasing(refusal)
        }
        (Stage::Started, Event::GaveUp) => Stage::Releasing(abandoned()),
        (Stage::Reserved(_) | Stage::Authorised(_), Event::Refused(refusal)) => {
            Stage::Voiding(refusal)
        }
        (Stage::Reserved(_), Event::GaveUp) => Stage::Voiding(abandoned()),

        (Stage::Releasing(refusal), Event::Released) => Stage::Failed(refusal),
        (stage, event) => {
            return Err(IllegalEvent {
                stage: stage.as_str(),
                event: event.as_str(),
            });
        }
    };
    let commands = resume(&after);
    Ok((after, commands))
}

/// How patient a checkout is with a peer that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts at going forward before it turns back.
    pub forward_attempts: u32,
    /// The longest pause between attempts, in seconds.
    pub longest_pause_secs: u32,
}

impl Default for Patience {
    fn default() -> Self {
        // 1+2+4+8+16+30+30+30: about two minutes, well inside the hold of fifteen.
        Self {
            forward_attempts: 9,
            longest_pause_secs: 30,
        }
    }
}

/// What to do about a peer that did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Try again after so many seconds.
    AfterSecs(u32),
    /// Turn back.
    GiveUp,
}

/// Decides after `attempts` failed attempts in a row at one command. A claim is never given up (see above), and neither is
/// going back: what is held must be handed back, however long the peer is away.
pub fn retry(stage: &Stage, attempts: u32, patience: Patience) -> Retry {
    if matches!(stage, Stage::Started | Stage::Reserved(_)) && attempts >= patience.forward_attempts
    {
        return Retry::GiveUp;
    }
    let pause = 1_u32
        .checked_shl(attempts.saturating_sub(1).min(16))
        .unwrap_or(u32::MAX);
    Retry::AfterSecs(pause.min(patience.longest_pause_secs))
}

/// A checkout: its facts, fixed when it starts, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Also the id of the order that comes out of it.
    pub id: OrderId,
    /// Who orders.
    pub user_id: UserId,
    /// The reservation's id.
    pub reservation_id: ReservationId,
    /// The payment's id.
    pub payment_id: PaymentId,
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// What is ordered.
    pub cart: Cart,
    /// Where it stands.
    pub stage: Stage,
    /// Failed attempts in a row at the command in hand.
    pub attempts: u32,
    /// Fences drivers that lost their lease.
    pub version: i64,
    /// W3C trace context of the request that began it.
    pub traceparent: Option<String>,
}

impl Checkout {
    /// Mints every id that the checkout will ever use: from here on, each command says the same however often it is said.
    pub fn start(
        user_id: UserId,
        key: String,
        cart: Cart,
        now: DateTime<Utc>,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            id: OrderId::mint(now, entropy),
            user_id,
            reservation_id: ReservationId::mint(now, entropy),
            payment_id: PaymentId::mint(now, entropy),
            key,
            cart,
            stage: Stage::Started,
            attempts: 0,
            version: 1,
            traceparent: None,
        }
    }
}
