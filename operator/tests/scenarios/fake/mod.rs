//! A Kubernetes API server in memory, for the operator's own needs.
//!
//! It keeps objects with uid, resourceVersion, generation, finalizers and preconditions; lists and
//! watches with label and name selectors, metadata-only answers, bookmarks and 410; applies, merges, creates and
//! deletes; tells what was created from what was applied; collects the garbage of deleted owners; and
//! plays the controllers that make pods.
//!
//! What it claims to do is compared with a real API server by [`crate::contract`]. What it does **not**
//! do: validate against schemas or CEL (but for what cannot be changed, and ports of one name), check RBAC, track
//! ownership of fields inside the entries of lists, convert versions, page lists, or let time-outs of a request differ
//! from lost answers. What only a real API server can show is shown by the stories in `e2e/`.

mod patch;
mod rules;
mod serve;
mod store;
mod watching;

pub use serve::{Fake, Fault, Request};
pub use store::{Id, Refusal};

/// Whether an owner is one of these uids.
fn is_owned(object: &serde_json::Value, by: impl Fn(&str) -> bool) -> bool {
    let mut owners = object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    owners.any(|owner| owner["uid"].as_str().is_some_and(&by))
}
