//! Whether a child of a shop is ready, since when it has not been, and why.

use k8s_openapi::{
    api::apps::v1::{Deployment, StatefulSet},
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::{
    Applied, Objects,
    trouble::{PodsOf, trouble},
};

/// A child of a shop as its status reports it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) ready: bool,
    /// Since when it has not been ready, where that is known.
    pub(crate) since: Option<Time>,
    pub(crate) message: String,
    /// Pods that may say why it is not ready.
    pub(crate) pods: Option<PodsOf>,
    /// Whether only a person can help.
    pub(crate) stalls: bool,
}

/// A child that is not there.
pub(crate) fn absent(kind: &'static str, name: &str) -> Part {
    Part {
        kind,
        name: name.to_owned(),
        ready: false,
        since: None,
        message: "it has not been created yet".into(),
        pods: None,
        stalls: false,
    }
}

/// The StatefulSet of the part `part` of a shop. `meaning` tells what a number of ready pods means
/// for the shop, given how many are wanted.
pub(crate) fn stateful_set(
    objects: &Objects<Applied>,
    (shop, part): (&str, &str),
    meaning: fn(ready: i32, wanted: i32) -> &'static str,
) -> Part {
    let name = format!("{shop}-{part}");
    let Some(set) = objects.get::<StatefulSet>(&name) else {
        return absent("StatefulSet", &name);
    };
    let status = set.status.unwrap_or_default();
    let is_current = status.observed_generation == set.metadata.generation;
    let count = status.ready_replicas.unwrap_or(0);
    let wanted = set.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let pods = PodsOf::set(&name);
    let counted = format!(
        "{count} of {wanted} pods are ready{}",
        meaning(count, wanted)
    );
    let trouble = trouble(objects, &pods);
    let stalls = trouble.as_ref().is_some_and(|trouble| trouble.stalls);
    let message = match trouble {
        Some(trouble) if wanted > 1 => format!("{counted}. {}", trouble.message),
        Some(trouble) => trouble.message,
        None if wanted > 1 => {
            format!("{counted}; see `kubectl get pods -l app.kubernetes.io/instance={name}`")
        }
        None => format!("{counted}; see `kubectl describe pod {name}-0`"),
    };
    let ready = is_current && count >= wanted;
    Part {
        kind: "StatefulSet",
        name,
        ready,
        since: None,
        message,
        pods: (!ready).then_some(pods),
        stalls: !ready && stalls,
    }
}

/// The Deployment of one pod of the part `part` of a shop.
pub(crate) fn deployment(objects: &Objects<Applied>, (shop, part): (&str, &str)) -> Part {
    let name = format!("{shop}-{part}");
    let Some(deployment) = objects.get::<Deployment>(&name) else {
        return absent("Deployment", &name);
    };
    let status = deployment.status.unwrap_or_default();
    let count = status.ready_replicas.unwrap_or(0);
    let mut conditions = status.conditions.unwrap_or_default().into_iter();
    let available = conditions.find(|c| c.type_ == "Available");
    let pods = PodsOf::deployment(&name);
    let trouble = trouble(objects, &pods);
    let stalls = trouble.as_ref().is_some_and(|trouble| trouble.stalls);
    let message = trouble.map_or_else(
        || format!("{count} of 1 pods are ready"),
        |trouble| trouble.message,
    );
    let ready = status.observed_generation == deployment.metadata.generation && count >= 1;
    Part {
        kind: "Deployment",
        name,
        ready,
        since: available
            .filter(|c| c.status != "True")
            .and_then(|c| c.last_transition_time),
        message,
        pods: (!ready).then_some(pods),
        stalls: !ready && stalls,
    }
}
