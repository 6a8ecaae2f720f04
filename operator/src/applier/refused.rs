//! What a refused object stops: nothing that exists, but the growth of what depends on it.

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
    /// Claims that may not grow.
    claims: Vec<String>,
}

impl Refused {
    /// Adds one.
    pub fn add(&mut self, planned: &Planned, error: Error) {
        let kind = planned.key.kind.as_str();
        self.needed |= ["Secret", "ServiceAccount", "NetworkPolicy"].contains(&kind);
        if kind == "PersistentVolumeClaim" {
            self.claims.push(planned.key.name.clone());
        }
        tracing::warn!(object = %text(&planned.key), error = error.chain(), "refused");
        self.first.get_or_insert(error);
    }

    /// Whether this object must not come to be: its pods would start without what was refused.
    pub fn forbids(&self, planned: &Planned) -> bool {
        let kind = planned.key.kind.as_str();
        self.needed && ["Deployment", "StatefulSet", "Job"].contains(&kind)
    }

    /// Whether this StatefulSet stays as it is, because a claim of its could not get the size that it is planned
    /// with. A claim is called after its template, its set and a number.
    pub fn holds_back(&self, planned: &Planned) -> bool {
        let is_of_it = |claim: &String| {
            let set = claim.rsplit_once('-').map_or("", |(start, _)| start);
            let set = set.split_once('-').map_or("", |(_, set)| set);
            set == planned.key.name
        };
        planned.key.kind == "StatefulSet" && self.claims.iter().any(is_of_it)
    }
}
