//! What the shop's own DatabaseBindings say that the shop says too: they know the first cause of what its services and
//! servers only suffer from.

use crds::{Condition, DatabaseBinding};
use service_catalogue::Service;

use crate::{Applied, Objects, conditions, database_binding::LOST, leaving::HELD, readiness::Part};

/// Kind of a part that is one of them.
const KIND: &str = "DatabaseBinding";

/// The first whose database is lost.
pub(super) fn lost(objects: &Objects<Applied>, shop: &str) -> Option<Part> {
    saying(objects, shop, "DatabaseReady", LOST)
}

/// The first that is being deleted and goes on, because somebody else's finalizer keeps it.
pub(super) fn held(objects: &Objects<Applied>, shop: &str) -> Option<Part> {
    saying(objects, shop, "Ready", HELD)
}

fn saying(objects: &Objects<Applied>, shop: &str, type_: &str, reason: &str) -> Option<Part> {
    let mut services = Service::ALL.into_iter().filter(|it| it.has_database());
    services.find_map(|service| {
        let binding = objects.get::<DatabaseBinding>(&format!("{shop}-{service}"))?;
        let list = binding.status?.conditions;
        let said = conditions::find(&list, type_).filter(|c| !c.is_true() && c.reason == reason)?;
        Some(Part {
            kind: KIND,
            name: binding.metadata.name.unwrap_or_default(),
            ready: false,
            since: Some(said.last_transition_time.clone()),
            message: said.message.clone(),
            pods: None,
            stalls: conditions::find(&list, "Stalled").is_some_and(Condition::is_true),
        })
    })
}
