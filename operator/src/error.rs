//! What can go wrong in a reconciliation, and what a good one may ask for.
//!
//! Waiting for something and an object that cannot be acted on are statuses, not errors.

use std::error::Error as StdError;
use std::time::Duration;

/// What a reconciliation that went well wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that matters is watched; the next look is the slow routine one.
    AwaitChange,
    /// Look again after this long, because what is waited for is not watched.
    Requeue(Duration),
}

impl Outcome {
    /// What asks for the earlier look.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Requeue(one), Self::Requeue(two)) => Self::Requeue(one.min(two)),
            (Self::AwaitChange, next) | (next, Self::AwaitChange) => next,
        }
    }
}

/// A failed reconciliation. It is tried again with the object's own backoff.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server.
    #[error("to {verb} {what} failed")]
    Api {
        /// Infinitive: get, create, apply, delete, patch the status of.
        verb: &'static str,
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The object that is in the way belongs to somebody else.
    #[error("{what} exists and belongs to {owner}: delete or rename one of the two")]
    Foreign {
        /// Kind and name.
        what: String,
        /// Its controller, or "nobody".
        owner: String,
    },
    /// Something changed between look and write; the next look sees it.
    #[error("{what} changed while it was looked at")]
    Stale {
        /// Kind and name.
        what: String,
    },
    /// The reconciliation was cut off.
    #[error("not done after {} s", .0.as_secs())]
    TimedOut(Duration),
    /// A bug; the log has its place.
    #[error("the operator panicked: this is a bug, the log says where")]
    Panicked,
    /// The object cannot be written as JSON.
    #[error("{what} cannot be encoded")]
    Encode {
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The system has no randomness to give.
    #[error("the system's random generator failed")]
    NoEntropy,
    /// A failure of another boundary: a database server, for instance.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A failed call, with what it was for.
    pub fn api(verb: &'static str, what: impl Into<String>, source: kube::Error) -> Self {
        Self::Api {
            verb,
            what: what.into(),
            source,
        }
    }

    /// A failure of another boundary.
    pub fn other(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(source))
    }

    /// Whether the next look, soon, is all that is needed.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Stale { .. } => true,
            Self::Api { source, .. } => code(source) == Some(409),
            _ => false,
        }
    }

    /// Whether the call failed because its namespace is being deleted: nothing can be made there any more.
    pub fn is_namespace_terminating(&self) -> bool {
        match self {
            Self::Api {
                source: kube::Error::Api(status),
                ..
            } => status.code == 403 && status.message.contains("is being terminated"),
            _ => false,
        }
    }

    /// The whole chain in one line, for a condition or a log.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

/// The HTTP status of a failed call, if it got an answer.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Turns "not there" into `None`.
pub fn optional<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if code(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = Error::api(
            "get",
            "Secret shops/a",
            kube::Error::Service("refused".into()),
        );
        let text = error.chain();
        assert!(text.starts_with("to get Secret shops/a failed: "), "{text}");
        assert_eq!(text.matches("refused").count(), 1, "{text}");
    }
}
