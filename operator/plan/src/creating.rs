//! Pods whose containers cannot be made yet: they have no sandbox, or lack a volume. Their status says `ContainerCreating`, whatever
//! it is that they wait for, and pulling an image reads the same. Only an event of the kubelet says why.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::api::events::v1::Event;

use crate::trouble::quote;

/// Time that a pod has before its events are read: most have started by then.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// Longest time between two looks.
const SELDOM: SignedDuration = SignedDuration::from_mins(5);
/// Reasons of the kubelet's states in which no container has been made.
const CREATING: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Reasons of the events that say why, and what they are about.
const REASONS: [(&str, &str); 3] = [
    ("FailedMount", "a volume cannot be mounted"),
    ("FailedAttachVolume", "a volume cannot be attached"),
    ("FailedCreatePodSandBox", "its sandbox cannot be made"),
];

/// Since when a pod has been on a node with none of its containers made; `None` of any other pod.
pub fn creating_since(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let is_pending = status.phase.as_deref() == Some("Pending");
    if !is_pending || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let first = status.init_container_statuses.iter().flatten();
    let mut containers = first.chain(status.container_statuses.iter().flatten());
    let since = status.start_time.as_ref().map(|time| time.0);
    since.filter(|_| containers.all(is_creating))
}

fn is_creating(container: &ContainerStatus) -> bool {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    waiting.is_some_and(|reason| CREATING.contains(&reason))
}

/// What to do about a pod that has been creating its containers for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether its events are to be read now.
    pub is_due: bool,
    /// Time until the next look.
    pub again: SignedDuration,
}

/// Each look comes when the pod has waited twice as long as at the one before: a pod that waits for hours costs little.
/// `before`: for how long it had waited when its events were read last.
pub fn look(waited: SignedDuration, before: Option<SignedDuration>) -> Look {
    let due = before.map_or(PATIENCE, |before| before.saturating_mul(2));
    let is_due = waited >= due;
    let next = if is_due {
        waited.saturating_mul(2)
    } else {
        due
    };
    let again = next.saturating_sub(waited).min(SELDOM);
    Look { is_due, again }
}

/// Why a pod has no containers yet, by the newest of its events that says so.
pub fn why(events: &[Event]) -> Option<(&'static str, String)> {
    let known = |event: &Event| {
        let reason = event.reason.as_deref()?;
        REASONS.into_iter().find(|(known, _)| *known == reason)
    };
    let told = events.iter().filter(|event| known(event).is_some());
    let newest = told.max_by_key(|event| last_seen(event))?;
    let (reason, what) = known(newest)?;
    let said = newest.note.as_deref().unwrap_or_default();
    Some((
        reason,
        format!("{what}: {}", quote(&without_ids(&cause(said)))),
    ))
}

/// When an event was last seen: some writers only count, others keep a series.
pub fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().map(|it| it.last_observed_time.0);
    let counted = event.deprecated_last_timestamp.as_ref().map(|it| it.0);
    let first = event.event_time.as_ref().map(|it| it.0);
    series.max(counted).max(first)
}

/// What is said, without what the runtime's interface puts in front of it.
fn cause(said: &str) -> String {
    let said = said
        .strip_prefix("Failed to create pod sandbox: ")
        .unwrap_or(said);
    let inner = said.split_once("rpc error: code = ");
    match inner.and_then(|(before, rest)| Some((before, rest.split_once(" desc = ")?.1))) {
        Some((before, cause)) => format!("{before}{cause}"),
        None => said.to_owned(),
    }
}

/// Each try has a sandbox of another id, and a status is written whenever its text changes.
fn without_ids(said: &str) -> String {
    let is_id = |word: &str| word.len() >= 32 && word.bytes().all(|it| it.is_ascii_hexdigit());
    let words = said.split_inclusive(|it: char| !it.is_ascii_alphanumeric());
    let plain = |word: &str| {
        let bare = word.trim_end_matches(|it: char| !it.is_ascii_alphanumeric());
        if is_id(bare) {
            word.replacen(bare, "...", 1)
        } else {
            word.to_owned()
        }
    };
    words.map(plain).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn secs(secs: i64) -> SignedDuration {
        SignedDuration::from_secs(secs)
    }

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let waiting = json!({ "name": "order", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ContainerCreating" } } });
        let mut pod = json!({ "metadata": { "name": "p" }, "status": { "phase": "Pending",
            "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [waiting] } });
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_pod_none_of_whose_containers_was_made_is_known() {
        let since = "2026-01-01T00:00:00Z".parse().ok();
        assert_eq!(creating_since(&pod(|_| {})), since);
        let init = |state: Value| {
            pod(|pod| {
                pod["status"]["initContainerStatuses"] = json!([{ "name": "i", "image": "", "imageID": "",
                    "ready": false, "restartCount": 0, "state": state }]);
            })
        };
        let waits = init(json!({ "waiting": { "reason": "PodInitializing" } }));
        assert_eq!(creating_since(&waits), since);
        for other in [
            init(json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } })),
            pod(|pod| pod["status"]["phase"] = "Running".into()),
            pod(|pod| pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into()),
            pod(|pod| {
                let state = &mut pod["status"]["containerStatuses"][0]["state"];
                state["waiting"]["reason"] = "ErrImagePull".into();
            }),
        ] {
            assert_eq!(creating_since(&other), None, "{other:?}");
        }
    }

    #[test]
    fn events_are_read_after_a_while_and_then_less_and_less_often() {
        let mut read = None;
        let (mut now, mut looks) = (0, Vec::new());
        while now < 3_600 {
            let look = look(secs(now), read);
            if look.is_due {
                looks.push(now);
                read = Some(secs(now));
            }
            now += look.again.as_secs();
        }
        assert_eq!(looks, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560]);
        // Somebody else had it reconciled in between.
        let early = Look {
            is_due: false,
            again: secs(4),
        };
        assert_eq!(look(secs(6), Some(secs(5))), early);
    }

    #[test]
    fn the_newest_event_that_says_why_is_quoted_and_reads_the_same_with_each_try() {
        let event = |at: &str, reason: &str, note: &str| -> Event {
            let event = json!({ "metadata": { "name": "e" }, "eventTime": null, "reason": reason, "note": note,
                "deprecatedLastTimestamp": at });
            serde_json::from_value(event).expect("an event")
        };
        let sandbox = |id: &str| {
            format!(
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \
                 \"{id}\": no address is left"
            )
        };
        let (one, other) = ("3f".repeat(32), "a0".repeat(32));
        let said = |id: &str| {
            why(&[
                event("2026-01-01T00:00:03Z", "Scheduled", "assigned to node"),
                event(
                    "2026-01-01T00:00:02Z",
                    "FailedCreatePodSandBox",
                    &sandbox(id),
                ),
                event(
                    "2026-01-01T00:00:01Z",
                    "FailedMount",
                    "secret \"x\" not found",
                ),
            ])
        };
        let (reason, text) = said(&one).expect("a reason");
        assert_eq!(reason, "FailedCreatePodSandBox");
        let whole = "its sandbox cannot be made: failed to setup network for sandbox \"...\": no address is left";
        assert_eq!(text, whole);
        assert_eq!(said(&other), Some((reason, text)));
        assert_eq!(why(&[event("2026-01-01T00:00:03Z", "Scheduled", "")]), None);
    }
}
