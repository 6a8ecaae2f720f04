//! The Secrets that a shop makes for itself: what is in each decides whether it is read, kept or pruned.

use crds::StorefrontSpec;

/// A Secret that the operator makes for a shop.
#[derive(Clone, Copy)]
pub(crate) struct OwnSecret {
    /// End of its name, after the shop's.
    pub(crate) part: &'static str,
    /// What is in it.
    pub(crate) content: Content,
    /// Whether a shop with this spec has it.
    pub(crate) when: fn(&StorefrontSpec) -> bool,
}

/// What a Secret of a shop holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One random value under `key`. Servers and clients keep to it, so it is generated once, and put back
    /// where somebody wrote another one.
    Generated {
        /// Key of the value.
        key: &'static str,
    },
    /// The same, but whoever writes another one means it.
    Chosen {
        /// Key of the value.
        key: &'static str,
    },
    /// The signing keys, which verify tokens in use.
    SigningKeys,
    /// A certificate, which is made again before it expires.
    Certificate,
    /// Computed from the spec and from other Secrets.
    Computed,
    /// Copies of what cannot be made again, from which it is put back when its Secret is lost.
    Copies,
}

impl OwnSecret {
    /// A Secret with one random value that every shop has.
    pub(crate) const fn generated(part: &'static str, key: &'static str) -> Self {
        let content = Content::Generated { key };
        Self {
            part,
            content,
            when: |_| true,
        }
    }

    /// A computed Secret that every shop has.
    pub(crate) const fn computed(part: &'static str) -> Self {
        Self {
            part,
            content: Content::Computed,
            when: |_| true,
        }
    }

    /// Whether the Secret may be deleted when the plan of a shop with this spec does not name it: it can be
    /// made again with the same effect.
    pub(crate) fn may_be_pruned(&self, spec: &StorefrontSpec) -> bool {
        match self.content {
            Content::Generated { .. }
            | Content::Chosen { .. }
            | Content::SigningKeys
            | Content::Copies => false,
            // An issuer writes a Secret of this name, which the plan does not name.
            Content::Certificate => !(self.when)(spec),
            Content::Computed => true,
        }
    }
}

impl Content {
    /// Whether the plan depends on what is in the Secret already.
    pub(crate) const fn is_read(self) -> bool {
        match self {
            Self::Generated { .. }
            | Self::Chosen { .. }
            | Self::SigningKeys
            | Self::Certificate
            | Self::Copies => true,
            Self::Computed => false,
        }
    }

    /// Key of the one value that is generated.
    pub(crate) const fn key(self) -> Option<&'static str> {
        match self {
            Self::Generated { key } | Self::Chosen { key } => Some(key),
            Self::SigningKeys | Self::Certificate | Self::Computed | Self::Copies => None,
        }
    }
}
