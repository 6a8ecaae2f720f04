//! What a validation can say, and what the plan must know about the platform it runs on.

use crate::{Applied, Objects};

/// The answer of every `validate`.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<T> {
    /// It can be acted on.
    Ready(T),
    /// Something outside the object is not there yet; look again when it changes.
    Waiting(Waiting),
    /// Only a change of the object can help.
    Invalid(Invalid),
}

impl<T> Verdict<T> {
    /// The valid value, if it is ready.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(valid) => Some(valid),
            Self::Waiting(_) | Self::Invalid(_) => None,
        }
    }
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// A word for programs, in CamelCase.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Waiting {
    /// Waits for what `message` names.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Why an object cannot be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// A word for programs, in CamelCase.
    pub reason: &'static str,
    /// Field and remedy, for people.
    pub message: String,
}

impl Invalid {
    /// Refuses with the field and the remedy in `message`.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// How a reconciliation went, for `status`.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// Everything planned was applied; these are the live objects.
    Applied(&'a Objects<Applied>),
    /// See [`Verdict::Waiting`]; nothing was written, these are the children that there are.
    Waiting(&'a Waiting, &'a Objects<Applied>),
    /// See [`Verdict::Invalid`]; nothing was written, these are the children that there are.
    Invalid(&'a Invalid, &'a Objects<Applied>),
    /// A call failed and will be tried again; the text says which.
    Failed(&'a str),
    /// The object is being deleted; the text says what is still to be done.
    Deleting(&'a str),
    /// `spec.paused` is set: nothing was written, these are the children that there are.
    Paused(&'a Objects<Applied>),
}

impl<'a> Outcome<'a> {
    /// The live objects, where there was a look at them that found any.
    pub(crate) fn seen(&self) -> Option<&'a Objects<Applied>> {
        match self {
            Self::Applied(seen) => Some(seen),
            Self::Waiting(_, seen) | Self::Invalid(_, seen) | Self::Paused(seen) => {
                (!seen.items.is_empty()).then_some(seen)
            }
            Self::Failed(_) | Self::Deleting(_) => None,
        }
    }
}

/// The platform that the operator belongs to; given to it by its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Registry and path of the images, for example `ghcr.io/storefront-dev`.
    pub registry: String,
    /// Tag of the images of `version`.
    pub tag: String,
    /// The release that new shops run.
    pub version: String,
    /// `imagePullPolicy` of the platform's images.
    pub pull_policy: String,
    /// Namespace of the operator's own pods; they may reach the database servers.
    pub operator_namespace: String,
}

impl Platform {
    /// The image `name` of a release. A release other than the operator's own is a tag by itself.
    pub fn image(&self, name: &str, version: &str) -> String {
        let tag = if version == self.version {
            &self.tag
        } else {
            version
        };
        format!("{}/{name}:{tag}", self.registry)
    }
}
