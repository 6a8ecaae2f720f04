//! What a refused object stops: nothing that exists.

use operator_plan::Planned;

use crate::error::Error;
use crate::reader::text;

/// Objects of a plan that were refused.
#[derive(Default)]
pub struct Refused {
    /// The first refusal.
    pub first: Option<Error>,
    /// Something that pods mount or obey is missing.
    needed: bool,
}

impl Refused {
    /// Adds one.
    pub fn add(&mut self, planned: &Planned, error: Error) {
        let kind = planned.key.kind.as_str();
        self.needed |= ["Secret", "ServiceAccount", "NetworkPolicy"].contains(&kind);
        tracing::warn!(object = %text(&planned.key), error = error.chain(), "refused");
        self.first.get_or_insert(error);
    }

    /// Whether this object must not come to be: its pods would start without what was refused.
    pub fn forbids(&self, planned: &Planned) -> bool {
        let kind = planned.key.kind.as_str();
        self.needed && ["Deployment", "StatefulSet", "Job"].contains(&kind)
    }
}
