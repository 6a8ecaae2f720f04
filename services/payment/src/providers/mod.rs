//! Payment providers: what this service asks of one, and what one can answer.
//!
//! A provider is called outside of any transaction and under no lock, after the intent is committed. It knows each operation
//! by our key, and doing the same key again has no second effect.

pub mod manual;
mod method;
mod registry;

use std::fmt;
use std::pin::Pin;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use vocabulary::{Money, OrderId, PaymentId};

pub use crate::ledger::domain::Kind;
pub use method::{InvalidMethod, Method};
pub use registry::{Providers, UnknownMethod};

/// Identifies an operation to the provider, and to us in its notifications: payment id and operation id, with a colon between.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The payment.
    pub payment_id: PaymentId,
    /// The operation on it.
    pub operation_id: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.payment_id.as_uuid(), self.operation_id)
    }
}

/// A text that is not a key of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key of this service")]
pub struct InvalidKey;

impl std::str::FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (payment_id, operation_id) = text.split_once(':').ok_or(InvalidKey)?;
        let payment_id = payment_id.parse().map_err(|_| InvalidKey)?;
        Ok(Self {
            payment_id,
            operation_id: operation_id.to_owned(),
        })
    }
}

/// One operation, as a provider is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Our idempotency key.
    pub key: Key,
    /// What to do.
    pub kind: Kind,
    /// The amount of this operation.
    pub amount: Money,
    /// What is paid for.
    pub order_id: OrderId,
}

/// What is known of an operation after a provider was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// The provider accepted it and decides later.
    Pending,
    /// The payer has to act first, at this URL.
    RequiresAction {
        /// Where to send the payer.
        url: String,
    },
    /// It was refused for good.
    Declined {
        /// The provider's reason code.
        reason: String,
    },
    /// No answer: it may or may not have happened.
    Unknown,
}

/// The most that is kept of a text of a provider.
const MAX_TEXT: usize = 2_048;

impl Outcome {
    /// The same as it can be stored and shown: texts without control characters, and of bounded length.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let bounded = |text: &str| {
            let legal = text.chars().filter(|c| !c.is_control());
            legal.take(MAX_TEXT).collect()
        };
        match self {
            Self::RequiresAction { url } => Self::RequiresAction { url: bounded(url) },
            Self::Declined { reason } => Self::Declined {
                reason: bounded(reason),
            },
            Self::Done | Self::Pending | Self::Unknown => self.clone(),
        }
    }
}

/// A call to a provider.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A payment provider. Every operation is idempotent by [`Request::key`].
pub trait Provider: Send + Sync {
    /// Holds the amount. The key of this operation identifies the payment in all later ones.
    fn authorise<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome>;
    /// Takes `amount` of what is held; the rest is no longer held.
    fn capture<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome>;
    /// Ends an authorisation, also one that is pending or that waits for the payer.
    fn void<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome>;
    /// Returns `amount` of what was taken.
    fn refund<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome>;
    /// What became of an operation; `None` if the provider never received it.
    fn look_up<'a>(&'a self, request: &'a Request) -> Call<'a, Option<Outcome>>;

    /// True if answers come from within this process. Then intent and answer share one commit.
    fn is_local(&self) -> bool {
        false
    }

    /// How to read the provider's notifications, if it sends any.
    fn webhooks(&self) -> Option<&dyn Webhooks> {
        None
    }
}

/// Asks a provider for an operation.
pub fn call<'a>(provider: &'a dyn Provider, request: &'a Request) -> Call<'a, Outcome> {
    match request.kind {
        Kind::Authorise => provider.authorise(request),
        Kind::Capture => provider.capture(request),
        Kind::Void => provider.void(request),
        Kind::Refund => provider.refund(request),
    }
}

/// A provider's message about an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The provider's id of the message: the same for every delivery of it.
    pub event_id: String,
    /// Our key of the operation.
    pub key: Key,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a notification was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// The signature is missing, wrong or too old.
    #[error("the signature is not valid")]
    Signature,
    /// Signed, but not readable.
    #[error("the notification is malformed: {0}")]
    Malformed(String),
}

/// Reads notifications of one provider.
pub trait Webhooks: Send + Sync {
    /// Checks the signature before anything else of the message is read.
    fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Notification, NotificationError>;
}
