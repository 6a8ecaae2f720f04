//! What can go wrong with the mail server.

use chassis::BindingError;
use lettre::transport::smtp;

use crate::deliveries::retry::Failure;

/// An unusable binding.
#[derive(Debug, thiserror::Error)]
pub enum SmtpConfigError {
    /// An entry is missing.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// `port` is not a port.
    #[error("invalid port in binding smtp: {0}")]
    Port(String),
    /// `from` is not an address.
    #[error("invalid sender address in binding smtp: {0}")]
    From(String),
    /// `tls` is not a known mode.
    #[error("invalid tls in binding smtp: {0}; use none, starttls or implicit")]
    Tls(String),
    /// The transport was not created.
    #[error("failed to create the SMTP transport")]
    Smtp(#[from] smtp::Error),
}

/// A failed delivery.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The recipient is not an address.
    #[error("invalid recipient address")]
    Address(#[from] lettre::address::AddressError),
    /// The message was not composed.
    #[error("failed to compose the message")]
    Message(#[from] lettre::error::Error),
    /// A library failed on what is in the message.
    #[error("failed to compose the message: the code panicked")]
    Panicked,
    /// The mail server refused it, or the connection failed.
    #[error("the mail server did not accept the message")]
    Smtp(#[from] smtp::Error),
    /// The mail server did not answer in time.
    #[error("the mail server timed out")]
    TimedOut,
}

impl DeliveryError {
    /// The kind of failure.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Address(_) | Self::Message(_) => Failure::Address,
            // Another release may do better.
            Self::Smtp(_) | Self::TimedOut | Self::Panicked => Failure::Server,
        }
    }
}

/// A look that found that the mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No connection, no encryption or no login.
    #[error("the mail server cannot be used")]
    Smtp(#[from] smtp::Error),
    /// It does not stay.
    #[error("the mail server closed the connection")]
    Closed,
    /// It did not answer in time.
    #[error("the mail server timed out")]
    TimedOut,
}
