//! Whether a binding reports that its server cannot be used. Apart from what reads the server's Secret, because the
//! backing servers ask for it, which that depends on.

use crds::DatabaseBinding;

use crate::{conditions, readiness::Part};

/// Reasons of a binding whose server cannot be used.
const UNUSABLE: [&str; 5] = [
    "ServerDenied",
    "ServerRefused",
    "ServerSecretInvalid",
    "ServerUnreachable",
    "ServerUnreadable",
];

/// A binding that reports that its server cannot be used.
pub(crate) fn unusable(binding: &DatabaseBinding) -> Option<Part> {
    let list = &binding.status.as_ref()?.conditions;
    let ready = conditions::find(list, "Ready").filter(|c| !c.is_true())?;
    UNUSABLE.contains(&ready.reason.as_str()).then(|| Part {
        kind: "DatabaseBinding",
        name: binding.metadata.name.clone().unwrap_or_default(),
        ready: false,
        since: Some(ready.last_transition_time.clone()),
        message: ready.message.clone(),
        pods: None,
        stalls: conditions::find(list, "Stalled").is_some_and(crds::Condition::is_true),
    })
}
