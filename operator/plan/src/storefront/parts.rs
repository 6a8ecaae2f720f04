//! What the parts of a shop say of themselves.

use crds::{Condition, ServiceDeployment};
use gateway_routes::api::Gateway;
use k8s_openapi::{
    api::apps::v1::{Deployment, StatefulSet},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{
    Valid,
    proof::{self, Proof, Waits},
};
use crate::{
    Applied, Objects, conditions, pods,
    trouble::{PodsOf, trouble},
};

/// One part of the shop, and since when it has not been ready.
pub(super) struct Part {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) ready: bool,
    pub(super) since: Option<Time>,
    pub(super) message: String,
    /// Whom to ask why it is not ready.
    pub(super) pods: Option<PodsOf>,
}

/// A server of somebody else's: all that is known of it is the Secret that says where it is.
pub(super) fn foreign(secret: &str, valid: Option<&Valid>) -> Part {
    let mut missing = valid.into_iter().flat_map(Valid::missing);
    let missing = missing.find(|missing| missing.secret == secret);
    Part {
        kind: "Secret",
        name: secret.to_owned(),
        ready: missing.is_none(),
        since: None,
        message: missing.map_or_else(String::new, |missing| missing.on.message.clone()),
        pods: None,
    }
}

/// The first server that keeps its image, because nobody has seen the new one start.
pub(super) fn proving(valid: &Valid, objects: &Objects<Applied>) -> Option<(&'static str, Part)> {
    let (part, proof) = proof::waiting(valid).into_iter().next()?;
    let Waits { job, before } = proof.waits()?;
    let stays = format!(
        "{} keeps image {before} until {} has been seen to start",
        valid.child(part),
        valid.image(part)
    );
    let (reason, message) = match (&proof, trouble(objects, &PodsOf::job(job))) {
        (Proof::Failed(_), _) => (
            "UpgradeFailed",
            format!(
                "{stays}, and it does not: read `kubectl logs job/{job}`, then change spec.version, or delete the Job to try again"
            ),
        ),
        (_, Some(trouble)) => ("UpgradeWaiting", format!("{stays}. {}", trouble.message)),
        (_, None) => ("UpgradeWaiting", stays),
    };
    let part = Part {
        kind: "Job",
        name: job.clone(),
        ready: false,
        since: None,
        message,
        pods: None,
    };
    Some((reason, part))
}

fn missing(kind: &'static str, name: &str) -> Part {
    Part {
        kind,
        name: name.to_owned(),
        ready: false,
        since: None,
        message: "it does not exist yet".into(),
        pods: None,
    }
}

pub(super) fn stateful(objects: &Objects<Applied>, shop: &str, part: &str) -> Part {
    let name = format!("{shop}-{part}");
    let Some(set) = objects.get::<StatefulSet>(&name) else {
        return missing("StatefulSet", &name);
    };
    let status = set.status.unwrap_or_default();
    let current = status.observed_generation == set.metadata.generation;
    let count = status.ready_replicas.unwrap_or(0);
    let wanted = set.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let pods = PodsOf::set(&name, pods::selector(part, &name));
    let counted = format!(
        "{count} of {wanted} pods are ready{}",
        meaning(count, wanted)
    );
    let message = match trouble(objects, &pods) {
        Some(trouble) if wanted > 1 => format!("{counted}. {}", trouble.message),
        Some(trouble) => trouble.message,
        None if wanted > 1 => {
            format!("{counted}; see `kubectl get pods -l app.kubernetes.io/instance={name}`")
        }
        None => format!("{counted}; see `kubectl describe pod {name}-0`"),
    };
    let ready = current && count >= wanted;
    Part {
        kind: "StatefulSet",
        name,
        ready,
        since: None,
        message,
        pods: (!ready).then_some(pods),
    }
}

/// Raft: a majority keeps the bus going, so this is a warning above it and an outage below.
fn meaning(ready: i32, wanted: i32) -> &'static str {
    match (wanted > 1, ready > wanted / 2) {
        (false, _) => "",
        (true, true) => ": a majority, so events flow",
        (true, false) => ": no majority, so events wait",
    }
}

pub(super) fn cache(objects: &Objects<Applied>, shop: &str) -> Part {
    let name = format!("{shop}-redis");
    let Some(deployment) = objects.get::<Deployment>(&name) else {
        return missing("Deployment", &name);
    };
    let status = deployment.status.unwrap_or_default();
    let count = status.ready_replicas.unwrap_or(0);
    let available = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .find(|c| c.type_ == "Available");
    let pods = PodsOf::deployment(&name, pods::selector("redis", &name));
    let message = trouble(objects, &pods).map_or_else(
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
    }
}

pub(super) fn service(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(service) = objects.get::<ServiceDeployment>(name) else {
        return missing("ServiceDeployment", name);
    };
    let conditions = service.status.map(|s| s.conditions).unwrap_or_default();
    let generation = service.metadata.generation;
    let part = from_conditions("ServiceDeployment", name, &conditions, generation);
    if conditions::find(&conditions, "Ready").is_some_and(|ready| ready.reason == "Paused") {
        paused(part, &conditions)
    } else {
        part
    }
}

/// One that is left alone says nothing of being ready as a whole; its aspects still do.
fn paused(part: Part, list: &[Condition]) -> Part {
    let mut aspects = list.iter().filter(|c| c.type_ != "Ready").peekable();
    let is_known = aspects.peek().is_some();
    match aspects.find(|c| !c.is_true()) {
        Some(first) => Part {
            since: Some(first.last_transition_time.clone()),
            message: first.message.clone(),
            ..part
        },
        None => Part {
            ready: is_known,
            ..part
        },
    }
}

fn from_conditions(
    kind: &'static str,
    name: &str,
    list: &[Condition],
    generation: Option<i64>,
) -> Part {
    let ready = conditions::find(list, "Ready");
    Part {
        kind,
        name: name.to_owned(),
        ready: conditions::is_ready(list, generation),
        since: ready
            .filter(|c| !c.is_true())
            .map(|c| c.last_transition_time.clone()),
        message: match ready {
            Some(c) if !c.is_true() => c.message.clone(),
            Some(_) => "its newest generation has not been looked at yet".into(),
            None => "it has not been looked at yet".into(),
        },
        pods: None,
    }
}

pub(super) fn gateway(objects: &Objects<Applied>, name: &str) -> Part {
    let Some(gateway) = objects.get::<Gateway>(name) else {
        return missing("Gateway", name);
    };
    let list = gateway.status.map(|s| s.conditions).unwrap_or_default();
    let programmed = list.iter().find(|c| c.type_ == "Programmed");
    let refused = list
        .iter()
        .find(|c| c.type_ == "Accepted" && c.status == "False");
    let ready = programmed.is_some_and(|c| {
        c.status == "True" && c.observed_generation == gateway.metadata.generation
    });
    let speaks = refused.or(programmed.filter(|c| c.status != "True"));
    Part {
        kind: "Gateway",
        name: name.to_owned(),
        ready,
        since: speaks.map(|c| c.last_transition_time.clone()),
        message: match speaks {
            Some(c) if !c.message.is_empty() => c.message.clone(),
            Some(c) => c.reason.clone(),
            None => format!(
                "no controller has programmed it yet; is there one for the class {}?",
                gateway.spec.gateway_class_name
            ),
        },
        pods: None,
    }
}
