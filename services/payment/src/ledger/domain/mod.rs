//! Double entry: an operation moves money between accounts, and its entries sum to zero.

/// Where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Outside the shop.
    Customer,
    /// Held for the shop by the provider.
    Authorised,
    /// Received by the shop.
    Captured,
}

impl Account {
    /// The name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
        }
    }
}

/// The kinds of operation on a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Holds the amount.
    Authorise,
    /// Takes what is held, or less of it.
    Capture,
    /// Gives up what is held.
    Void,
    /// Returns what was taken, or a part of it.
    Refund,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Authorise, Self::Capture, Self::Void, Self::Refund];

    /// The name in the table and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

/// A name that is no kind of operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of operation {0:?}")]
pub struct UnknownKind(String);

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let named = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// One operation with its entries, in minor units of the payment's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// What was done.
    pub kind: Kind,
    /// How much, above zero.
    pub minor: i64,
    /// Account and signed amount; no amount is zero, and their sum is.
    pub entries: Vec<(Account, i64)>,
}

impl Movement {
    /// Holds `minor`.
    pub fn authorise(minor: i64) -> Self {
        Self::of(
            Kind::Authorise,
            minor,
            &[(Account::Authorised, minor), (Account::Customer, -minor)],
        )
    }

    /// Takes `minor` of `authorised`; the rest is no longer held.
    pub fn capture(minor: i64, authorised: i64) -> Self {
        Self::of(
            Kind::Capture,
            minor,
            &[
                (Account::Captured, minor),
                (Account::Authorised, -authorised),
                (Account::Customer, authorised - minor),
            ],
        )
    }

    /// `minor` is no longer held.
    pub fn void(minor: i64) -> Self {
        Self::of(
            Kind::Void,
            minor,
            &[(Account::Customer, minor), (Account::Authorised, -minor)],
        )
    }

    /// Returns `minor`.
    pub fn refund(minor: i64) -> Self {
        Self::of(
            Kind::Refund,
            minor,
            &[(Account::Customer, minor), (Account::Captured, -minor)],
        )
    }

    fn of(kind: Kind, minor: i64, entries: &[(Account, i64)]) -> Self {
        let entries = entries.iter().copied().filter(|e| e.1 != 0).collect();
        Self {
            kind,
            minor,
            entries,
        }
    }
}
