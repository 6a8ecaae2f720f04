//! Double entry: an operation moves money between accounts, and its entries sum to zero.

/// Where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// With the shopper.
    Customer,
    /// Promised to the shop.
    Authorised,
    /// The shop's.
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

/// What can be done to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The shopper promises.
    Authorise,
    /// The shop takes what was promised, or less.
    Capture,
    /// The promise is handed back.
    Void,
    /// Money is handed back.
    Refund,
}

impl Kind {
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

/// One operation with its entries, in minor units of the payment's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// What is done.
    pub kind: Kind,
    /// How much, above zero.
    pub minor: i64,
    /// Account and signed amount; never zero, and zero in sum.
    pub entries: Vec<(Account, i64)>,
}

impl Movement {
    /// The shopper's promise.
    pub fn authorise(minor: i64) -> Self {
        Self::of(
            Kind::Authorise,
            minor,
            &[(Account::Authorised, minor), (Account::Customer, -minor)],
        )
    }

    /// Takes `minor` of `authorised`; what is not taken goes back to the shopper.
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

    /// The promise goes back.
    pub fn void(minor: i64) -> Self {
        Self::of(
            Kind::Void,
            minor,
            &[(Account::Customer, minor), (Account::Authorised, -minor)],
        )
    }

    /// Money goes back.
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
