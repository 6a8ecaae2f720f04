//! The `manual` provider: a merchant who takes the money by hand, so the promise is always good.

/// What a provider says to an authorisation or a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The provider does it.
    Approved,
    /// The provider will not.
    Declined,
}

/// How a shopper pays. All methods belong to the `manual` provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Always good.
    Manual,
    /// For tests of a shop: the authorisation is declined.
    ManualDecline,
    /// For tests of a shop: the authorisation is good, the capture is refused.
    ManualCaptureDecline,
}

/// A method that this shop does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown payment method; known: manual, manual-decline, manual-capture-decline")]
pub struct UnknownMethod;

impl Method {
    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::ManualDecline => "manual-decline",
            Self::ManualCaptureDecline => "manual-capture-decline",
        }
    }

    /// What the provider says to a promise.
    pub const fn authorise(self) -> Verdict {
        match self {
            Self::Manual | Self::ManualCaptureDecline => Verdict::Approved,
            Self::ManualDecline => Verdict::Declined,
        }
    }

    /// What the provider says when the promise is called in.
    pub const fn capture(self) -> Verdict {
        match self {
            Self::Manual | Self::ManualDecline => Verdict::Approved,
            Self::ManualCaptureDecline => Verdict::Declined,
        }
    }
}

impl std::str::FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        match text {
            "manual" => Ok(Self::Manual),
            "manual-decline" => Ok(Self::ManualDecline),
            "manual-capture-decline" => Ok(Self::ManualCaptureDecline),
            _ => Err(UnknownMethod),
        }
    }
}
