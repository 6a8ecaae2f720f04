//! Why pods are not ready: what the scheduler, the kubelet and the program itself say, in a sentence.
//!
//! ## Why not in their own words
//! A status is written whenever it reads differently. The kubelet's words change all the time while
//! nothing changes: `ErrImagePull` and `ImagePullBackOff` take turns, "back-off 40s" counts, a registry
//! that cannot be reached names another port with each try. So one state of affairs is one sentence,
//! and a pod that crashes reads the same whether it has just ended, waits, or runs once more.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use crate::{Applied, Objects};

/// Longest quotation of somebody else's words.
const LONGEST: usize = 200;
/// Label that the Job controller puts on a Job's pods.
const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

/// The pods of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsOf {
    /// Labels that they carry.
    pub labels: BTreeMap<String, String>,
    /// Kind of their controller, and how its name is told.
    controller: Controller,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Controller {
    /// A StatefulSet or a Job of this name.
    Named(String),
    /// A ReplicaSet of the Deployment of this name.
    Deployment(String),
}

impl PodsOf {
    /// Of a StatefulSet.
    pub(crate) fn set(name: &str, labels: BTreeMap<String, String>) -> Self {
        let controller = Controller::Named(name.to_owned());
        Self { labels, controller }
    }

    /// Of a Deployment, all of its revisions.
    pub(crate) fn deployment(name: &str, labels: BTreeMap<String, String>) -> Self {
        let controller = Controller::Deployment(name.to_owned());
        Self { labels, controller }
    }

    /// Of a Job.
    pub(crate) fn job(name: &str) -> Self {
        Self {
            labels: BTreeMap::from([(JOB_LABEL.to_owned(), name.to_owned())]),
            controller: Controller::Named(name.to_owned()),
        }
    }

    /// Anybody can write a label; who made the pod decides.
    fn has(&self, pod: &Pod) -> bool {
        let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
        owners
            .iter()
            .find(|owner| owner.controller == Some(true))
            .is_some_and(|owner| match &self.controller {
                Controller::Named(name) => owner.name == *name,
                Controller::Deployment(name) => owner
                    .name
                    .rsplit_once('-')
                    .is_some_and(|(head, _)| owner.kind == "ReplicaSet" && head == name),
            })
    }
}

/// Why pods are not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The word that `kubectl get pods` shows.
    pub reason: &'static str,
    /// A sentence that names pod and remedy.
    pub message: String,
}

/// Why the pods of a workload are not ready, of those that were read.
pub(crate) fn trouble(seen: &Objects<Applied>, of: &PodsOf) -> Option<Trouble> {
    let pods = seen.all::<Pod>().map(|(_, pod)| pod);
    why(pods.filter(|pod| of.has(pod)))
}

/// Why these pods are not ready; `None` when they are, or nobody has said anything yet. The newest
/// pod that has something to tell speaks for all.
pub fn why<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<Trouble> {
    let mut pods: Vec<&Pod> = pods.into_iter().collect();
    pods.sort_by_key(|pod| {
        let meta = &pod.metadata;
        let made = meta.creation_timestamp.as_ref().map(|time| time.0);
        (Reverse(made), meta.name.as_deref())
    });
    pods.into_iter().find_map(of_pod)
}

fn of_pod(pod: &Pod) -> Option<Trouble> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let (reason, text) = match status.phase.as_deref() {
        Some("Succeeded") => None,
        Some("Failed") => failed(status),
        _ => unschedulable(status).or_else(|| of_containers(pod, status)),
    }?;
    let message = format!("Pod {name}: {text}");
    Some(Trouble { reason, message })
}

/// A pod that was ended from outside: evicted, or its node shut down.
fn failed(status: &PodStatus) -> Option<(&'static str, String)> {
    status.reason.as_deref().filter(|word| *word == "Evicted")?;
    let said = status.message.as_deref().unwrap_or_default();
    Some(("Evicted", format!("it was evicted: {}", quote(said))))
}

fn unschedulable(status: &PodStatus) -> Option<(&'static str, String)> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let refused = conditions
        .iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let said = refused.message.as_deref().unwrap_or_default();
    let said = said.split(" preemption:").next().unwrap_or_default();
    let text = format!("no node takes it: {}", quote(said));
    Some(("Unschedulable", text))
}

fn of_containers(pod: &Pod, status: &PodStatus) -> Option<(&'static str, String)> {
    let spec = pod.spec.as_ref()?;
    let first = status.init_container_statuses.as_deref();
    let then = status.container_statuses.as_deref();
    let all = first.into_iter().chain(then).flatten();
    let planned = || {
        let first = spec.init_containers.as_deref().unwrap_or_default();
        first.iter().chain(&spec.containers)
    };
    all.filter(|container| !container.ready)
        .find_map(|container| {
            let image = planned()
                .find(|planned| planned.name == container.name)
                .and_then(|planned| planned.image.as_deref())
                .unwrap_or(&container.image);
            of_container(container, image, pod)
        })
}

fn of_container(
    container: &ContainerStatus,
    image: &str,
    pod: &Pod,
) -> Option<(&'static str, String)> {
    let policy = pod.spec.as_ref()?.restart_policy.as_deref();
    let runs_on = policy.is_none_or(|policy| policy == "Always");
    let pod = pod.metadata.name.as_deref().unwrap_or_default();
    let name = container.name.as_str();
    let state = container.state.as_ref()?;
    let last = container.last_state.as_ref();
    let last = last.and_then(|state| state.terminated.as_ref());
    let ended = |how: &ContainerStateTerminated| ended(how, name, pod);
    let Some(waiting) = &state.waiting else {
        // One that has ended waits to be started again, and one that runs has been.
        return match &state.terminated {
            Some(now) if now.exit_code == 0 && !runs_on => None,
            Some(now) => Some(ended(now)),
            None => last.map(ended),
        };
    };
    let said = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref().unwrap_or_default() {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
            Some(("ImagePullBackOff", unpulled(image, said)))
        }
        "SignatureValidationFailed" => {
            let text = format!("image {image} is refused: its signature is not valid");
            Some(("SignatureValidationFailed", text))
        }
        "ErrImageNeverPull" => {
            let text = format!("image {image} is not on the node, and is never to be pulled");
            Some(("ErrImageNeverPull", text))
        }
        "InvalidImageName" => {
            let text = format!("image {image} is no valid reference");
            Some(("InvalidImageName", text))
        }
        "CreateContainerConfigError" => {
            let text = format!("container {name} cannot be made: {}", quote(said));
            Some(("CreateContainerConfigError", text))
        }
        "CreateContainerError" | "RunContainerError" => Some(("StartError", unstarted(name, said))),
        "CrashLoopBackOff" => Some(last.map_or_else(
            || {
                let text = format!("container {name} ended and is started again");
                ("CrashLoopBackOff", text)
            },
            ended,
        )),
        _ => last.map(ended),
    }
}

fn ended(how: &ContainerStateTerminated, container: &str, pod: &str) -> (&'static str, String) {
    let code = how.exit_code;
    match how.reason.as_deref().unwrap_or_default() {
        "OOMKilled" => {
            let text = format!(
                "container {container} was killed because it needs more memory than its limit (OOMKilled, exit code {code})"
            );
            ("OOMKilled", text)
        }
        "StartError" | "ContainerCannotRun" => {
            let said = how.message.as_deref().unwrap_or_default();
            ("StartError", unstarted(container, said))
        }
        _ => {
            let text = format!(
                "container {container} ended with exit code {code} and is started again; `kubectl logs -p {pod}` says why"
            );
            ("CrashLoopBackOff", text)
        }
    }
}

/// What a runtime says before it comes to the point names containers by their ids.
fn unstarted(container: &str, said: &str) -> String {
    match said.rsplit_once("unable to start container process: ") {
        Some((_, why)) => format!(
            "container {container} cannot be started: {}",
            quote(why.trim_end_matches(": unknown"))
        ),
        None => format!("container {container} cannot be started"),
    }
}

/// A pull fails in many words that come to few reasons.
fn unpulled(image: &str, said: &str) -> String {
    let said = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let why = if says(&["dial tcp", "no such host", "timeout", "connection re"]) {
        ": its registry cannot be reached"
    } else if says(&["denied", "authoriz", "authentication", "forbidden"]) {
        ": its registry refuses it, so it is not there or asks for an imagePullSecret"
    } else if says(&["not found", "notfound", "manifest unknown"]) {
        ": its registry does not have it"
    } else {
        ""
    };
    format!("image {image} cannot be pulled{why}")
}

/// The first line, without the pod's uid and the full stop.
fn quote(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" (pod:").next().unwrap_or_default();
    let line: String = line.chars().take(LONGEST).collect();
    line.trim().trim_end_matches('.').to_owned()
}
