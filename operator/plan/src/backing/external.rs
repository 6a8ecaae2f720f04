//! Servers that the user runs: all that is known of one is the Secret that says where it is.

use super::server::Reference;
use crate::{
    readiness::Part,
    storefront::{Data, Valid},
};

/// The content of the user's Secret; `None` while it is missing or incomplete.
pub(super) fn given<'a>(valid: &'a Valid, reference: Option<Reference<'_>>) -> Option<&'a Data> {
    let reference = reference?;
    let is_usable = !valid.lacks(reference.name);
    let data = valid.seen.referenced.get(reference.name);
    data.filter(|_| is_usable)
}

/// Ready as soon as the Secret is complete.
pub(super) fn readiness(reference: Option<Reference<'_>>, valid: Option<&Valid>) -> Part {
    let secret = reference
        .map(|reference| reference.name)
        .unwrap_or_default();
    let mut missing = valid.into_iter().flat_map(Valid::missing);
    let missing = missing.find(|missing| missing.secret == secret);
    Part {
        kind: "Secret",
        name: secret.to_owned(),
        ready: missing.is_none(),
        since: None,
        message: missing.map_or_else(String::new, |missing| missing.on.message.clone()),
        pods: None,
        stalls: false,
    }
}
