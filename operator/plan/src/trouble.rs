//! Why pods are not ready: what the scheduler, the kubelet and the program itself report, in one message.
//!
//! ## Why not their own messages
//! A status is written whenever its text changes. The kubelet's messages change all the time while
//! nothing changes: `ErrImagePull` and `ImagePullBackOff` take turns, "back-off 40s" counts, a registry
//! that cannot be reached names another port with each try. So each state has one message,
//! and a pod that crashes reads the same whether it has just ended, waits, or runs once more.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use crate::{Applied, Live, Objects};

/// Longest quotation of somebody else's words.
const LONGEST: usize = 200;
/// Exit code of a process that signal 9 ended.
const KILLED: i32 = 137;

/// The pods of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsOf {
    kind: &'static str,
    name: String,
}

impl PodsOf {
    /// Of a StatefulSet.
    pub(crate) fn set(name: &str) -> Self {
        Self::of("StatefulSet", name)
    }

    /// Of a Deployment, all of its revisions.
    pub(crate) fn deployment(name: &str) -> Self {
        Self::of("Deployment", name)
    }

    /// Of a Job.
    pub(crate) fn job(name: &str) -> Self {
        Self::of("Job", name)
    }

    fn of(kind: &'static str, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
        }
    }

    /// Kind of the workload.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Name of the workload.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a pod is one of them. Anybody can write a label; the controller reference decides.
    pub fn has(&self, pod: &Pod) -> bool {
        let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        controller
            .is_some_and(|owner| workload(&owner.kind, &owner.name) == (self.kind, &self.name))
    }
}

/// Kind and name of the workload that the controller of a pod stands for: of a Deployment's pods that is
/// a ReplicaSet of its own.
pub fn workload<'a>(kind: &'a str, name: &'a str) -> (&'a str, &'a str) {
    match (kind, name.rsplit_once('-')) {
        ("ReplicaSet", Some((name, _))) => ("Deployment", name),
        _ => (kind, name),
    }
}

/// Why pods are not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Machine-readable reason (CamelCase), as `kubectl get pods` shows it.
    pub reason: &'static str,
    /// Human-readable message: the pod and the remedy.
    pub message: String,
    /// Whether only a person can help: waiting makes no image, key or right.
    pub stalls: bool,
}

/// Reasons that pass by nothing that the cluster does.
const FINAL: [&str; 5] = [
    "ErrImageNeverPull",
    "InvalidImageName",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "StartError",
];
/// Ends of the messages about images that are not there.
const NOT_THERE: [&str; 2] = [REFUSED, UNKNOWN];
const REFUSED: &str = "its registry refuses it, so it is not there or asks for an imagePullSecret";
const UNKNOWN: &str = "its registry does not have it";

/// Why the pods of a workload are not ready, of those that were read.
pub(crate) fn trouble(seen: &Objects<Applied>, of: &PodsOf) -> Option<Trouble> {
    let pods = seen.all::<Pod>().map(|(_, pod)| pod);
    why(pods.filter(|pod| of.has(pod))).or_else(|| stuck(seen, of))
}

/// Why a pod of a workload has no containers, where its events were read: see [`crate::creating`].
fn stuck(seen: &Objects<Applied>, of: &PodsOf) -> Option<Trouble> {
    let told = |name: &str| {
        seen.items.iter().find_map(|item| match &item.live {
            Live::Stuck(reason, why) if item.key.name == name => Some((*reason, why)),
            _ => None,
        })
    };
    let mut pods = seen.all::<Pod>().filter(|(_, pod)| of.has(pod));
    let (name, (reason, why)) = pods.find_map(|(name, _)| Some((name, told(name)?)))?;
    Some(Trouble {
        reason,
        message: format!("Pod {name}: {why}"),
        stalls: false,
    })
}

/// Why these pods are not ready; `None` when they are, or nothing was reported yet. The newest
/// pod that reports anything speaks for all.
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
        Some("Failed") => failed(status).or_else(|| tried(pod, status)),
        _ => unschedulable(status).or_else(|| of_containers(pod, status)),
    }?;
    let stalls = FINAL.contains(&reason) || NOT_THERE.iter().any(|end| text.ends_with(end));
    let message = format!("Pod {name}: {text}");
    Some(Trouble {
        reason,
        message,
        stalls,
    })
}

/// A pod that was ended from outside: evicted, or its node shut down.
fn failed(status: &PodStatus) -> Option<(&'static str, String)> {
    status.reason.as_deref().filter(|word| *word == "Evicted")?;
    let said = status.message.as_deref().unwrap_or_default();
    Some(("Evicted", format!("it was evicted: {}", quote(said))))
}

/// A pod of a Job that failed: another one follows.
fn tried(pod: &Pod, status: &PodStatus) -> Option<(&'static str, String)> {
    let policy = pod.spec.as_ref()?.restart_policy.as_deref();
    policy.filter(|policy| *policy == "Never")?;
    of_containers(pod, status)
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
    let is_once = policy == Some("Never");
    let ended = |how: &ContainerStateTerminated| ended(how, name, pod, is_once);
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

fn ended(
    how: &ContainerStateTerminated,
    container: &str,
    pod: &str,
    is_once: bool,
) -> (&'static str, String) {
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
        // Signal 9. A runtime that hears of the end before the kernel has told it of the memory gives no other reason.
        "Error" if code == KILLED => {
            let text = format!(
                "container {container} was killed (exit code {code}): as a rule because it needs more memory than its limit, or \
                 because it did not end in time when it was told to"
            );
            ("Killed", text)
        }
        _ if is_once => {
            let text = format!(
                "container {container} ended with exit code {code}; `kubectl logs {pod}` says why"
            );
            ("PodFailed", text)
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
        "its registry cannot be reached"
    } else if says(&["denied", "authoriz", "authentication", "forbidden"]) {
        REFUSED
    } else if says(&["not found", "notfound", "manifest unknown"]) {
        UNKNOWN
    } else {
        return format!("image {image} cannot be pulled");
    };
    format!("image {image} cannot be pulled: {why}")
}

/// The first line, without the pod's uid and the full stop.
pub(crate) fn quote(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" (pod:").next().unwrap_or_default().trim();
    crate::quote::quote(line.trim_end_matches('.'), LONGEST)
}
