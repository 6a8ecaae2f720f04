//! Trial of a server's image before the server's pods are replaced by pods of it: an image that does not
//! exist, or does not run on these nodes, must not cost a shop its database.
//!
//! A Job starts the image and does nothing else. Its completion is an observed fact, as a migration's
//! is: until then the plan has the image that is known to start, which an annotation of the server's own
//! workload records. The names of the Jobs and of the annotation say "proof", as they did before.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{Container, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::embedded::{Embedded, Workload};
use crate::{
    Applied, Objects, Planned, hash,
    job::{self, End},
    names,
    podless::refused,
    pods,
    readiness::Part,
    resources::resources,
    storefront::Valid,
    trouble::{PodsOf, trouble},
};

/// Annotation of a server's workload with the image that is known to start.
pub(crate) const PROVEN_ANNOTATION: &str = "storefront.dev/proven-image";
/// Starts that may fail before the image counts as broken; one that cannot be pulled is waited for.
const TRIES: i32 = 3;

/// How far the trial of a server's image is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trial {
    /// The server has the image already, or does not exist yet, so that nothing can be lost.
    Unneeded,
    /// The image starts.
    Passed,
    /// The Job has not ended.
    Running(Waits),
    /// The Job has given up.
    Failed(Waits),
}

/// What is known while a server keeps its image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waits {
    /// Name of the Job.
    job: String,
    /// The image that the server has.
    before: String,
}

impl Trial {
    fn waits(&self) -> Option<&Waits> {
        match self {
            Self::Running(waits) | Self::Failed(waits) => Some(waits),
            Self::Unneeded | Self::Passed => None,
        }
    }
}

/// Plans to read the workload of a server of the shop and to leave it as it is.
pub(super) fn keep(
    server: &Embedded,
    (namespace, shop): (&str, &str),
    objects: &mut Objects<Planned>,
) {
    let name = format!("{shop}-{}", server.part);
    match server.workload {
        Workload::StatefulSet => objects.keep::<StatefulSet>(namespace, &name),
        Workload::Deployment => objects.keep::<Deployment>(namespace, &name),
    }
}

/// Plans the Job of a server that keeps its image until the new one is known to start.
pub(super) fn plan(valid: &Valid, server: &Embedded, objects: &mut Objects<Planned>) {
    if is_awaited(valid, server) {
        objects.apply(&job(valid, server));
    }
}

/// The image that a server is planned with.
pub(super) fn image(valid: &Valid, server: &Embedded) -> String {
    match of(valid, server).waits() {
        Some(waits) => waits.before.clone(),
        None => valid.image(server.part),
    }
}

/// Whether a server keeps its image until the new one is known to start.
pub(super) fn is_awaited(valid: &Valid, server: &Embedded) -> bool {
    of(valid, server).waits().is_some()
}

/// Pods of the Job of a server that keeps its image.
pub(super) fn pods_of(valid: &Valid, server: &Embedded) -> Option<PodsOf> {
    Some(PodsOf::job(&of(valid, server).waits()?.job))
}

/// Reason and Job of a server that keeps its image.
pub(super) fn awaited(
    valid: &Valid,
    server: &Embedded,
    objects: &Objects<Applied>,
) -> Option<(&'static str, Part)> {
    let trial = of(valid, server);
    let Waits { job, before } = trial.waits()?;
    let kept = format!(
        "{} keeps image {before} until {} is known to start",
        valid.child(server.part),
        valid.image(server.part)
    );
    let of = PodsOf::job(job);
    let trouble = trouble(objects, &of).or_else(|| refused(objects, &of));
    let is_stuck = trouble.as_ref().is_some_and(|trouble| trouble.stalls);
    let stalls = is_stuck || matches!(trial, Trial::Failed(_));
    let (reason, message) = match (&trial, trouble) {
        (Trial::Failed(_), _) => (
            "UpgradeFailed",
            format!(
                "{kept}, and its trial failed: see `kubectl logs job/{job}`, then change spec.version (or spec.update to OnRequest), or delete the Job to try again"
            ),
        ),
        (_, Some(trouble)) => ("UpgradeWaiting", format!("{kept}. {}", trouble.message)),
        (_, None) => ("UpgradeWaiting", kept),
    };
    let part = Part {
        kind: "Job",
        name: job.clone(),
        ready: false,
        since: None,
        message,
        pods: None,
        stalls,
    };
    Some((reason, part))
}

fn of(valid: &Valid, server: &Embedded) -> Trial {
    let Some(before) = known(valid, server).filter(|it| *it != valid.image(server.part)) else {
        return Trial::Unneeded;
    };
    let job = name(valid, server, &template(valid, server));
    let end = job::end_of(valid.seen.jobs.get(&job));
    let waits = Waits { job, before };
    match end {
        Some(End::Complete) => Trial::Passed,
        Some(End::Failed | End::TooLate) => Trial::Failed(waits),
        None => Trial::Running(waits),
    }
}

/// The image that the live server is known to start with. A server from before there were trials has
/// only that of its pods.
fn known(valid: &Valid, server: &Embedded) -> Option<String> {
    let (meta, template) = found(valid, server)?;
    let proven = meta
        .annotations
        .and_then(|mut all| all.remove(PROVEN_ANNOTATION));
    proven.or_else(|| template?.spec?.containers.into_iter().next()?.image)
}

/// The annotations of the live server's own object; `None` where it does not exist.
pub(super) fn annotations(valid: &Valid, server: &Embedded) -> Option<BTreeMap<String, String>> {
    found(valid, server)?.0.annotations
}

fn found(valid: &Valid, server: &Embedded) -> Option<(ObjectMeta, Option<PodTemplateSpec>)> {
    let (name, live) = (valid.child(server.part), &valid.seen.servers);
    match server.workload {
        Workload::StatefulSet => {
            let found = live.get::<StatefulSet>(&name)?;
            Some((found.metadata, found.spec.map(|spec| spec.template)))
        }
        Workload::Deployment => {
            let found = live.get::<Deployment>(&name)?;
            Some((found.metadata, found.spec.map(|spec| spec.template)))
        }
    }
}

fn name(valid: &Valid, server: &Embedded, template: &PodTemplateSpec) -> String {
    // A Job cannot be changed, so its name has a hash of all of it.
    let text = serde_json::to_vec(template).unwrap_or_default();
    let tag = hash::short([text.as_slice()]);
    names::child(valid.name(), &format!("proof-{}-{tag}", server.part))
}

fn job(valid: &Valid, server: &Embedded) -> Job {
    let template = template(valid, server);
    let name = name(valid, server, &template);
    let meta = valid.scope.meta(&name, "proof", &valid.child(server.part));
    // An image that cannot be pulled is waited for, so there is no deadline.
    job::job(meta, template, TRIES, None)
}

fn template(valid: &Valid, server: &Embedded) -> PodTemplateSpec {
    let instance = names::child(&valid.child(server.part), "proof");
    let command = server.trial.iter().map(|word| (*word).to_owned());
    let container = Container {
        name: server.part.to_owned(),
        image: Some(valid.image(server.part)),
        image_pull_policy: Some(valid.platform.pull_policy.clone()),
        command: Some(command.collect()),
        resources: Some(resources("10m", "16Mi", "64Mi")),
        security_context: Some(pods::container_security()),
        ..Container::default()
    };
    let security = pods::pod_security(Some(server.uid), server.uid);
    let pod = pods::pod(container, Vec::new(), security, 5);
    let labels = valid.scope.pod_labels("proof", &instance);
    let settings = server.settings_of_trial(valid);
    pods::template(labels, BTreeMap::new(), pod, &settings)
}
