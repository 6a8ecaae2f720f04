//! What can go wrong in a reconciliation. Waiting for something, and an object that cannot be acted on,
//! are statuses and not errors.

use std::error::Error as StdError;
use std::time::Duration;

use operator_plan::Invalid;

use crate::refusal;

/// A failed reconciliation. It is tried again with the object's own backoff.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server.
    #[error("failed to {verb} {what}")]
    Api {
        /// Infinitive, such as `get` or `patch the status of`.
        verb: &'static str,
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// An object of the planned name belongs to somebody else.
    #[error("{what} exists and belongs to {owner}: delete or rename one of the two")]
    Foreign {
        /// Kind and name.
        what: String,
        /// Its controller, or "nobody".
        owner: String,
    },
    /// Something changed between read and write; the next reconciliation sees it.
    #[error("{what} changed since it was read")]
    Stale {
        /// Kind and name.
        what: String,
    },
    /// The reconciliation was cut off.
    #[error("the reconciliation did not end within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// A bug; the log says where.
    #[error("the reconciliation panicked: this is a bug in the operator, see its log")]
    Panicked,
    /// The object cannot be written as JSON.
    #[error("failed to encode {what}")]
    Encode {
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The system gives no randomness.
    #[error("the system's random generator failed")]
    NoEntropy,
    /// A failure of another boundary: a database server, for instance.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A failed call, with its purpose.
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

    /// Whether all that is needed is another reconciliation soon.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Stale { .. } => true,
            Self::Api { source, .. } => code(source) == Some(409) || is_replaced(source),
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

    /// Whether the API server refused the content of a write.
    pub fn is_invalid(&self) -> bool {
        match self {
            Self::Api { source, .. } => code(source) == Some(422) && !is_replaced(source),
            _ => false,
        }
    }

    /// What only a person can mend: a refusal, or an object of somebody else in the way.
    pub fn refusal(&self) -> Option<Invalid> {
        match self {
            Self::Foreign { .. } => Some(Invalid::new("NameTaken", self.to_string())),
            Self::Api {
                verb,
                what,
                source: kube::Error::Api(status),
            } if refusal::is_final(status) && !self.is_stale() => {
                Some(refusal::of(verb, what, status))
            }
            _ => None,
        }
    }

    /// The error and its causes in one line, for a condition or a log. Of what the API server answered
    /// only its message is taken.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let answer = match cause.downcast_ref() {
                Some(kube::Error::Api(status)) => Some(refusal::why(status)),
                _ => None,
            };
            let is_last = answer.is_some();
            let cause_text = answer.unwrap_or_else(|| cause.to_string());
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = if is_last { None } else { cause.source() };
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

/// Whether a write was refused because another object of the same name has taken the place of the one
/// that was read: the API server calls its other uid a change of an immutable field.
fn is_replaced(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 422 && status.message.contains("metadata.uid"),
        _ => false,
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
    fn an_object_that_was_replaced_is_stale_and_an_invalid_one_is_not() {
        let refused = |message: &str| {
            let status = kube::core::Status::failure(message, "Invalid").with_code(422);
            Error::api(
                "patch",
                "Storefront shops/a",
                kube::Error::Api(Box::new(status)),
            )
        };
        let text = "Storefront \"a\" is invalid: metadata.uid: Invalid value: field is immutable";
        assert!(refused(text).is_stale());
        assert!(!refused("spec.hostnames: Invalid value").is_stale());
    }

    #[test]
    fn of_an_answer_of_the_api_server_the_chain_has_the_message() {
        let status = kube::core::Status::failure("port 1: Duplicate value", "Invalid");
        let source = kube::Error::Api(Box::new(status.with_code(422)));
        let error = Error::api("apply", "Service shops/a", source);
        let text = "failed to apply Service shops/a: port 1: Duplicate value";
        assert_eq!(error.chain(), text);
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = Error::api(
            "get",
            "Secret shops/a",
            kube::Error::Service("refused".into()),
        );
        let text = error.chain();
        assert!(text.starts_with("failed to get Secret shops/a: "), "{text}");
        assert_eq!(text.matches("refused").count(), 1, "{text}");
    }
}
