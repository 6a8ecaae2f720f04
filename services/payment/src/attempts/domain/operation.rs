//! Operations: the intents that a provider is asked for, each under a key of ours.

pub use crate::ledger::domain::Kind;

/// The operation id of every authorisation: an attempt has one.
pub const AUTHORISE: &str = "authorise";

/// How far an operation has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Committed; the provider has not decided.
    Requested,
    /// The provider did it.
    Done,
    /// The provider will not do it.
    Refused {
        /// The provider's reason code.
        reason: String,
    },
}

impl State {
    /// The name in the table.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Done => "done",
            Self::Refused { .. } => "refused",
        }
    }

    /// True once the provider has done or refused it.
    pub const fn is_decided(&self) -> bool {
        match self {
            Self::Requested => false,
            Self::Done | Self::Refused { .. } => true,
        }
    }

    /// Why it was refused.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason } => Some(reason),
            Self::Requested | Self::Done => None,
        }
    }
}

/// One operation on a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id within the payment.
    pub id: String,
    /// What it does.
    pub kind: Kind,
    /// How much, in minor units.
    pub minor: i64,
    /// How far it has come.
    pub state: State,
}

impl Operation {
    /// An operation that the provider has yet to be asked for.
    pub fn requested(id: impl Into<String>, kind: Kind, minor: i64) -> Self {
        Self {
            id: id.into(),
            kind,
            minor,
            state: State::Requested,
        }
    }

    /// An operation that follows from this one. Its id follows from this one's, so that it is opened once. Clients' operation
    /// ids contain no `/`.
    #[must_use]
    pub fn follow_up(&self, id: &str, kind: Kind, minor: i64) -> Self {
        Self::requested(format!("{}/{id}", self.id), kind, minor)
    }

    /// The same in another state.
    #[must_use]
    pub fn now(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }
}
