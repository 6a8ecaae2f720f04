//! The name of a payment method.

use std::fmt;
use std::str::FromStr;

/// How a customer pays: `manual`, for example. Which names exist is up to [`super::Providers`]; a stored name may be of a method
/// that is no longer offered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Method(String);

/// A text that cannot be the name of a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a payment method is 1 to 64 characters of a-z, 0-9, - and _")]
pub struct InvalidMethod;

impl Method {
    /// The name on the wire and in the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Method {
    type Err = InvalidMethod;

    fn from_str(text: &str) -> Result<Self, InvalidMethod> {
        let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidMethod)
        }
    }
}
