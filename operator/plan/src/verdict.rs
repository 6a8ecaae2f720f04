//! The result of a validation, the outcome of a reconciliation, and the platform both run on.

use std::collections::BTreeMap;

use crds::ReleaseImages;

use crate::{Applied, Objects};

/// The result of every `validate`.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<T> {
    /// It can be acted on.
    Ready(T),
    /// Something outside the object does not exist yet; reconcile again when it changes.
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
    /// Machine-readable reason (CamelCase).
    pub reason: &'static str,
    /// Human-readable message.
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
    /// Machine-readable reason (CamelCase).
    pub reason: &'static str,
    /// Human-readable message: the field and the remedy.
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

/// How a reconciliation went; the argument of every `status`. `V` is what the kind's validation gives.
#[derive(Debug)]
pub enum Outcome<'a, V> {
    /// Everything planned was applied.
    Applied {
        /// The validated object that it was planned from.
        valid: &'a V,
        /// The live objects.
        objects: &'a Objects<Applied>,
    },
    /// See [`Verdict::Waiting`]; nothing was written, these are the children that exist.
    Waiting(&'a Waiting, &'a Objects<Applied>),
    /// See [`Verdict::Invalid`]; nothing was written, these are the children that exist.
    Invalid(&'a Invalid, &'a Objects<Applied>),
    /// A call failed and will be retried; the text says which.
    Failed(&'a str),
    /// The object is being deleted; the text says what remains to be done.
    Deleting(&'a str),
    /// `spec.paused` is set: nothing was written, these are the children that exist.
    Paused(&'a Objects<Applied>),
}

impl<'a, V> Outcome<'a, V> {
    /// The validated object, where everything was applied.
    pub fn valid(&self) -> Option<&'a V> {
        match self {
            Self::Applied { valid, .. } => Some(valid),
            _ => None,
        }
    }

    /// The live objects, where they were read and any were found.
    pub(crate) fn seen(&self) -> Option<&'a Objects<Applied>> {
        match self {
            Self::Applied { objects, .. } => Some(objects),
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
    /// Digests of the images of `version` that are pinned, by name, such as `sha256:...`. They take the place of the
    /// tag.
    pub digests: BTreeMap<String, String>,
    /// The release that new shops run.
    pub version: String,
    /// `imagePullPolicy` of the platform's images.
    pub pull_policy: String,
    /// Namespace of the operator's own pods; they may reach the database servers.
    pub operator_namespace: String,
    /// Whether templates have one change more, which only marks pods: an update can be tried with one build then.
    pub rehearses: bool,
}

impl Platform {
    /// Where the images of a release are. A release other than the operator's own is a tag by itself. What is no
    /// tag, as others may write it into an annotation, stands for the operator's own release.
    pub(crate) fn images(&self, version: &str) -> ReleaseImages {
        let is_other = version != self.version && is_tag(version);
        ReleaseImages {
            registry: self.registry.clone(),
            tag: if is_other { version } else { &self.tag }.to_owned(),
            digests: if is_other {
                BTreeMap::new()
            } else {
                self.digests.clone()
            },
        }
    }

    /// The image `name` of a release, see [`Self::images`].
    pub fn image(&self, name: &str, version: &str) -> String {
        reference(&self.images(version), name)
    }
}

/// The reference of an image of a release.
pub(crate) fn reference(images: &ReleaseImages, name: &str) -> String {
    let registry = &images.registry;
    match images.digests.get(name) {
        Some(digest) => format!("{registry}/{name}@{digest}"),
        None => format!("{registry}/{name}:{}", images.tag),
    }
}

/// Whether a text is the tag of an image, and nothing that changes which image is meant.
fn is_tag(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= 128
        && text.bytes().all(is_inner)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_is_no_tag_names_no_other_image() {
        let platform = Platform {
            registry: "registry.example/shop".into(),
            tag: "1.0.0-abc".into(),
            digests: BTreeMap::new(),
            version: "1.0.0".into(),
            pull_policy: "IfNotPresent".into(),
            operator_namespace: "storefront-system".into(),
            rehearses: false,
        };
        let own = platform.image("gateway", "1.0.0");
        assert_eq!(own, "registry.example/shop/gateway:1.0.0-abc");
        assert_eq!(
            platform.image("gateway", "0.9.0"),
            "registry.example/shop/gateway:0.9.0"
        );
        for forged in ["", "1@sha256:0", "../evil:1", "1 2", "-1", ".1"] {
            assert_eq!(platform.image("gateway", forged), own, "{forged}");
        }
    }
}
