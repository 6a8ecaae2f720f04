//! Whether a child of a shop is ready, since when it has not been, and why.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::PersistentVolumeClaim,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::{
    Applied, Objects,
    podless::{cause, refused},
    trouble::{PodsOf, Trouble, trouble},
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
    let spec = set.spec.unwrap_or_default();
    let wanted = spec.replicas.unwrap_or(1);
    let volumes = spec.volume_claim_templates.unwrap_or_default();
    let pods = PodsOf::set(&name);
    let counted = format!(
        "{count} of {wanted} pods are ready{}",
        meaning(count, wanted)
    );
    let trouble = trouble(objects, &pods).or_else(|| refused(objects, &pods));
    let trouble = trouble.map(|trouble| with_class(trouble, &volumes));
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

/// Names the StorageClass where a pod waits for its volume: the scheduler does not.
fn with_class(mut trouble: Trouble, volumes: &[PersistentVolumeClaim]) -> Trouble {
    if trouble.message.contains("PersistentVolumeClaim") {
        let mut specs = volumes.iter().filter_map(|claim| claim.spec.as_ref());
        let class = specs.find_map(|spec| spec.storage_class_name.as_deref());
        let class = match class {
            Some(class) => format!("StorageClass {class}"),
            None => "the default StorageClass of the cluster".to_owned(),
        };
        trouble.message = format!(
            "{}; its volume is to come from {class}, which must exist and be able to make it",
            trouble.message
        );
    }
    trouble
}

/// A Deployment of which one pod is enough.
pub(crate) fn deployment(objects: &Objects<Applied>, name: String) -> Part {
    let Some(deployment) = objects.get::<Deployment>(&name) else {
        return absent("Deployment", &name);
    };
    let status = deployment.status.unwrap_or_default();
    let count = status.ready_replicas.unwrap_or(0);
    let conditions = status.conditions.unwrap_or_default();
    let find = |type_: &str| conditions.iter().find(|c| c.type_ == type_);
    let available = find("Available").cloned();
    let pods = PodsOf::deployment(&name);
    let failing = find("ReplicaFailure").filter(|c| c.status == "True");
    let trouble = trouble(objects, &pods).or_else(|| {
        let said = failing?.message.as_deref().unwrap_or_default();
        Some(Trouble {
            reason: "PodsRefused",
            message: format!("Deployment {name} cannot make pods: {}", cause(said)),
            stalls: true,
        })
    });
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
