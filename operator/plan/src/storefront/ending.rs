//! What a deletion of a shop waits for, since when, and whether somebody has to act.

use crds::{Condition, storefront::Blocker};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Live;
use crate::conditions;

/// A deletion that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What for, and the reason of the child that holds it up.
    pub message: String,
    /// That child.
    pub blocker: Option<Blocker>,
    /// Whether it goes on only if somebody acts.
    pub stalls: bool,
}

/// What holds up a deletion that waits for these children. `waiting_for` is what [`super::teardown`] names.
pub fn held(waiting_for: &str, live: &Live) -> Held {
    let services = live.services.iter().map(|it| {
        let status = it.status.as_ref();
        let list = status.map_or(&[][..], |status| &status.conditions);
        child("ServiceDeployment", &it.metadata, list)
    });
    let bindings = live.bindings.iter().map(|it| {
        let status = it.status.as_ref();
        let list = status.map_or(&[][..], |status| &status.conditions);
        child("DatabaseBinding", &it.metadata, list)
    });
    let all: Vec<Child> = services.chain(bindings).collect();
    let stuck = all.iter().find(|child| child.stalls);
    let Some(child) = stuck.or(all.iter().find(|child| child.is_told)) else {
        return Held {
            message: waiting_for.to_owned(),
            blocker: all.into_iter().next().map(|child| child.blocker),
            stalls: false,
        };
    };
    let Blocker {
        kind,
        name,
        since,
        message,
    } = &child.blocker;
    let since = since.as_ref().map(|time| format!(" since {}", time.0));
    let since = since.unwrap_or_default();
    Held {
        message: format!("{waiting_for}; {kind} {name} is being deleted{since}: {message}"),
        blocker: Some(child.blocker.clone()),
        stalls: child.stalls,
    }
}

struct Child {
    blocker: Blocker,
    is_told: bool,
    stalls: bool,
}

fn child(kind: &str, meta: &ObjectMeta, list: &[Condition]) -> Child {
    let is_going = meta.deletion_timestamp.is_some();
    let ready = conditions::find(list, "Ready").filter(|c| is_going && !c.is_true());
    let message = ready.map_or("it is being deleted", |c| c.message.as_str());
    let stalled = conditions::find(list, "Stalled").is_some_and(Condition::is_true);
    Child {
        is_told: ready.is_some(),
        stalls: is_going && stalled,
        blocker: Blocker {
            kind: kind.to_owned(),
            name: meta.name.clone().unwrap_or_default(),
            since: meta.deletion_timestamp.clone(),
            message: message.to_owned(),
        },
    }
}
