//! Asking a workload itself: why a pod is not ready, and which dependencies its process does without.
//!
//! The kubelet reports that a probe failed, and neither what was asked nor what was answered. The same
//! request, sent once more, shows both. Our own processes answer with the name and the state of each dependency; of
//! any other program the status code tells enough (a path that is 404).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

pub use crate::answer::{Answer, Question, Said};
use crate::{Applied, Live, Objects};

/// How long a pod may have been running before it is asked: until then it is starting.
const STARTING: SignedDuration = SignedDuration::from_secs(10);
/// Time between two questions while a pod is not ready.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// Time between two questions while all is well.
const ROUTINE: SignedDuration = SignedDuration::from_mins(5);
/// Time between two questions to a workload that fails over a dependency or does without one.
const FAILING: SignedDuration = SignedDuration::from_secs(5);
/// Time until the next question while a process does not know a server of its own yet.
const ASKING: SignedDuration = SignedDuration::from_secs(2);
/// What our processes say of a server until they know whether it can be used (`chassis::NO_ANSWER_YET`).
pub const NO_ANSWER_YET: &str = "no answer yet";
/// Longest quotation of an answer.
const LONGEST: usize = 200;

/// What to ask now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    /// The question.
    pub now: Option<Question>,
    /// Time until the next look.
    pub again: Option<SignedDuration>,
}

/// Where a workload is asked.
pub(crate) struct Target<'a> {
    /// Name of the Service, with its namespace.
    pub(crate) service: (&'a str, &'a str),
    pub(crate) port: i32,
    pub(crate) readiness: Option<String>,
    pub(crate) liveness: Option<String>,
    /// Whether its answer names dependencies.
    pub(crate) is_known: bool,
}

/// Whom to ask: the newest pod that runs and is not ready, or, where there is none, any ready pod of a process
/// of ours.
pub(crate) fn asking<'a>(
    target: &Target<'_>,
    pods: impl Iterator<Item = &'a Pod>,
    is_available: bool,
    now: Timestamp,
) -> Asking {
    let newest = pods
        .filter_map(|pod| Some((running_since(pod)?, pod)))
        .max_by_key(|(since, _)| *since);
    if let Some((since, pod)) = newest {
        let age = now.duration_since(since);
        if age < STARTING {
            return Asking {
                now: None,
                again: Some(STARTING - age),
            };
        }
        return Asking {
            now: to_pod(target, pod),
            again: Some(AGAIN),
        };
    }
    let path = target.readiness.clone().filter(|_| target.is_known);
    let (Some(path), true) = (path, is_available) else {
        return Asking::default();
    };
    let (namespace, name) = target.service;
    Asking {
        now: Some(Question {
            pod: String::new(),
            host: format!("{name}.{namespace}.svc"),
            port: target.port,
            path,
            probe: "readiness",
        }),
        again: Some(ROUTINE),
    }
}

/// When to ask again after an answer. `recorded`: the status names a failure. It stands until the next answer,
/// which must not wait for the routine, also where nobody answered this time.
pub fn again_after(asking: &Asking, said: &Said, recorded: bool) -> Option<SignedDuration> {
    let is_failing = said.names_failures() || (recorded && *said == Said::Nothing);
    if said.has(NO_ANSWER_YET) {
        Some(ASKING)
    } else if is_failing {
        Some(FAILING)
    } else {
        asking.again
    }
}

fn to_pod(target: &Target<'_>, pod: &Pod) -> Option<Question> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let has_started = containers.into_iter().all(|it| it.started == Some(true));
    let (probe, path) = if has_started {
        ("readiness", target.readiness.clone()?)
    } else {
        ("liveness", target.liveness.clone()?)
    };
    Some(Question {
        pod: pod.metadata.name.clone()?,
        host: status.pod_ip.clone()?,
        port: target.port,
        path,
        probe,
    })
}

/// Since when a pod has been running without being ready; `None` of any other pod.
pub fn running_since(pod: &Pod) -> Option<Timestamp> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let open = containers.filter(|container| !container.ready);
    let running = open.filter_map(|it| it.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    running.map(|time| time.0).max()
}

/// Answers among what was read.
fn answers(seen: &Objects<Applied>) -> impl Iterator<Item = &Answer> {
    seen.items.iter().filter_map(|item| match &item.live {
        Live::Answer(answer) => Some(&**answer),
        _ => None,
    })
}

/// Why a pod's probe fails, in one sentence.
pub(crate) fn refused(seen: &Objects<Applied>) -> Option<String> {
    let answer = answers(seen).find(|answer| !answer.question.pod.is_empty())?;
    let Question {
        pod,
        port,
        path,
        probe,
        ..
    } = &answer.question;
    let asked = format!("Pod {pod} is not ready: its {probe} probe, GET {path} on port {port},");
    match &answer.said {
        Said::Nothing => Some(format!("{asked} gets no answer")),
        Said::Response { code, failing, .. } if *code >= 400 => {
            let named = list(failing);
            let why = match (named.is_empty(), code) {
                (false, _) => format!(": {named}"),
                (true, 404) => format!("; correct spec.probes.{probe}Path, or serve it"),
                (true, _) => String::new(),
            };
            Some(format!("{asked} is answered {code}{why}"))
        }
        Said::Response { .. } => None,
    }
}

/// Dependencies that a process fails over or does without, and why; `None` where nobody answered.
pub(crate) fn dependencies(seen: &Objects<Applied>) -> Option<BTreeMap<String, String>> {
    let mut told = answers(seen).filter_map(|answer| match &answer.said {
        Said::Response {
            failing, degraded, ..
        } => Some((failing, degraded)),
        Said::Nothing => None,
    });
    let (failing, degraded) = told.next()?;
    let all = degraded.iter().chain(failing);
    Some(all.map(|(name, why)| (name.clone(), quote(why))).collect())
}

fn list(named: &BTreeMap<String, String>) -> String {
    let all = named
        .iter()
        .map(|(name, why)| format!("{name}: {}", quote(why)));
    all.collect::<Vec<_>>().join("; ")
}

fn quote(text: &str) -> String {
    crate::quote::quote(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failing: &[(&str, &str)]) -> Said {
        let failing = failing.iter();
        Said::Response {
            code: 503,
            failing: failing
                .map(|(name, why)| ((*name).to_owned(), (*why).to_owned()))
                .collect(),
            degraded: BTreeMap::new(),
        }
    }

    #[test]
    fn a_named_failure_and_one_that_nobody_takes_back_are_asked_about_again_soon() {
        let routine = Asking {
            now: None,
            again: Some(ROUTINE),
        };
        let named = told(&[("database", "refused")]);
        assert_eq!(again_after(&routine, &named, false), Some(FAILING));
        assert_eq!(again_after(&routine, &Said::Nothing, true), Some(FAILING));
        let unknown = told(&[("mail", NO_ANSWER_YET)]);
        assert_eq!(again_after(&routine, &unknown, false), Some(ASKING));
    }

    #[test]
    fn what_is_well_or_never_answered_is_left_to_the_routine() {
        let routine = Asking {
            now: None,
            again: Some(ROUTINE),
        };
        assert_eq!(again_after(&routine, &told(&[]), true), Some(ROUTINE));
        assert_eq!(again_after(&routine, &Said::Nothing, false), Some(ROUTINE));
    }

    #[test]
    fn of_a_pod_that_never_started_the_liveness_probe_is_asked_and_named() {
        let since = "2026-01-01T00:00:00Z";
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "reviews-1", "namespace": "shops" },
            "status": { "podIP": "10.1.1.1", "containerStatuses": [{ "name": "reviews", "ready": false,
                "started": false, "restartCount": 3, "image": "", "imageID": "",
                "state": { "running": { "startedAt": since } } }] } }))
        .expect("a pod");
        let target = Target {
            service: ("shops", "reviews"),
            port: 8080,
            readiness: Some("/ready".into()),
            liveness: Some("/nonsense".into()),
            is_known: false,
        };
        let now = since.parse::<Timestamp>().expect("an instant") + STARTING;
        let asked = asking(&target, [&pod].into_iter(), false, now);
        let question = asked.now.expect("a question");
        let said = Said::Response {
            code: 404,
            failing: BTreeMap::new(),
            degraded: BTreeMap::new(),
        };
        let mut seen = Objects::new();
        seen.items.push(Applied {
            key: crate::objects::key_of::<Pod>("shops", "reviews-1"),
            live: Live::Answer(std::sync::Arc::new(Answer { question, said })),
        });
        assert_eq!(
            refused(&seen).as_deref(),
            Some(
                "Pod reviews-1 is not ready: its liveness probe, GET /nonsense on port 8080, is answered 404; correct \
                 spec.probes.livenessPath, or serve it"
            )
        );
    }
}
