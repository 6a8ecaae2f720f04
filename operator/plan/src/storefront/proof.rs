//! Proof that the image of a server starts, before the server's only pod is replaced by one of it. An
//! image that does not exist, or does not run on these nodes, must not cost the shop its database.
//!
//! A Job starts the image and does nothing else. That it has ended well is an observed fact, as a
//! migration is: until then the plan has the image that is known to start, which the server's own object
//! carries in an annotation from the moment that it was given it.

use std::collections::BTreeMap;

use crds::Storefront;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::{Job, JobSpec},
    core::v1::{Container, PodSpec, PodTemplateSpec},
};

use super::Valid;
use crate::{Objects, Planned, hash, names, pods};

/// Annotation of a server with the image that has been seen to start.
pub(super) const PROVEN_ANNOTATION: &str = "storefront.dev/proven-image";
/// The servers of a shop, each one pod.
pub(super) const SERVERS: [&str; 3] = ["postgres", "nats", "redis"];
/// Starts that may fail before the image counts as broken; one that cannot be pulled is waited for.
const TRIES: i32 = 3;

/// Whether a server may have the image that its shop wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It has it already, or there is no server yet that could be lost.
    Unneeded,
    /// The image has been seen to start.
    Done,
    /// The Job has not ended.
    Running(Waits),
    /// The Job has given up.
    Failed(Waits),
}

/// A server that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waits {
    /// Name of the Job.
    pub(super) job: String,
    /// The image that the server has.
    pub(super) before: String,
}

impl Proof {
    /// Why the server stays as it is, if it does.
    pub(super) fn waits(&self) -> Option<&Waits> {
        match self {
            Self::Running(waits) | Self::Failed(waits) => Some(waits),
            Self::Unneeded | Self::Done => None,
        }
    }
}

/// The servers of the shop, to be read and left as they are.
pub fn servers(storefront: &Storefront) -> Objects<Planned> {
    let meta = &storefront.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let shop = meta.name.as_deref().unwrap_or_default();
    let mut objects = Objects::new();
    if storefront.spec.database.external.is_none() {
        objects.keep::<StatefulSet>(namespace, &format!("{shop}-postgres"));
    }
    objects.keep::<StatefulSet>(namespace, &format!("{shop}-nats"));
    if storefront.spec.cache.external.is_none() {
        objects.keep::<Deployment>(namespace, &format!("{shop}-redis"));
    }
    objects
}

/// Plans the Jobs of the servers that wait.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    for (part, _) in waiting(valid) {
        objects.apply(&job(valid, part));
    }
}

/// The image that a server is planned with.
pub(super) fn image(valid: &Valid, part: &str) -> String {
    match of(valid, part).waits() {
        Some(waits) => waits.before.clone(),
        None => valid.image(part),
    }
}

/// Reads the server and the Jobs that are there.
pub(super) fn of(valid: &Valid, part: &str) -> Proof {
    let Some(before) = known(valid, part).filter(|known| *known != valid.image(part)) else {
        return Proof::Unneeded;
    };
    let job = name(valid, part, &template(valid, part));
    let status = valid
        .seen
        .jobs
        .get(&job)
        .and_then(|job| job.status.as_ref());
    let list = status.and_then(|status| status.conditions.as_deref());
    let has = |type_: &str| {
        let mut list = list.unwrap_or_default().iter();
        list.any(|c| c.type_ == type_ && c.status == "True")
    };
    let waits = Waits { job, before };
    if has("Complete") {
        Proof::Done
    } else if has("Failed") {
        Proof::Failed(waits)
    } else {
        Proof::Running(waits)
    }
}

/// The image that the live server is known to start with. One from before there were proofs has only
/// that of its pods.
fn known(valid: &Valid, part: &str) -> Option<String> {
    let (name, servers) = (valid.child(part), &valid.seen.servers);
    let set = servers.get::<StatefulSet>(&name);
    let set = set.map(|set| (set.metadata, set.spec.map(|spec| spec.template)));
    let deployment = || {
        let found = servers.get::<Deployment>(&name)?;
        Some((found.metadata, found.spec.map(|spec| spec.template)))
    };
    let (meta, template) = set.or_else(deployment)?;
    let proven = meta
        .annotations
        .and_then(|mut all| all.remove(PROVEN_ANNOTATION));
    proven.or_else(|| template?.spec?.containers.into_iter().next()?.image)
}

fn name(valid: &Valid, part: &str, template: &PodTemplateSpec) -> String {
    // A Job cannot be changed, so all of it is in its name.
    let text = serde_json::to_vec(template).unwrap_or_default();
    let tag = hash::short([text.as_slice()]);
    names::child(valid.name(), &format!("proof-{part}-{tag}"))
}

fn job(valid: &Valid, part: &str) -> Job {
    let template = template(valid, part);
    let name = name(valid, part, &template);
    Job {
        metadata: valid.scope.meta(&name, "proof", &valid.child(part)),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            template,
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn template(valid: &Valid, part: &str) -> PodTemplateSpec {
    let instance = names::child(&valid.child(part), "proof");
    let (command, user): (&[&str], _) = match part {
        "postgres" => (
            &["/usr/lib/postgresql/15/bin/postgres", "--version"],
            super::data_services::POSTGRES_UID,
        ),
        "nats" => (&["/nats-server", "--version"], pods::PLATFORM_UID),
        _ => (&["/usr/bin/redis-server", "--version"], pods::PLATFORM_UID),
    };
    let container = Container {
        name: part.to_owned(),
        image: Some(valid.image(part)),
        image_pull_policy: Some(valid.platform.pull_policy.clone()),
        command: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        resources: Some(pods::resources("10m", "16Mi", "64Mi")),
        security_context: Some(pods::container_security()),
        ..Container::default()
    };
    let security = pods::pod_security(Some(user), user);
    let pod = PodSpec {
        restart_policy: Some("OnFailure".into()),
        ..pods::pod(container, Vec::new(), security, 5)
    };
    let labels = valid.scope.pod_labels("proof", &instance);
    pods::template(labels, BTreeMap::new(), pod)
}

/// The servers that wait for their image.
pub(super) fn waiting(valid: &Valid) -> Vec<(&'static str, Proof)> {
    let all = SERVERS.into_iter().map(|part| (part, of(valid, part)));
    all.filter(|(_, proof)| proof.waits().is_some()).collect()
}
