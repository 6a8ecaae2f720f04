//! Workloads that make no pods. Of a StatefulSet and of a Job only an event of their controller says why: a quota,
//! a LimitRange, a policy. (A Deployment has a condition for it.)

use crate::quote::quote;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::{
    Applied, Live, Objects,
    trouble::{PodsOf, Trouble},
};

/// Time that a controller has to make the first pod.
const PATIENCE: SignedDuration = SignedDuration::from_secs(3);
/// Longest quotation of a controller's words.
const LONGEST: usize = 300;

/// What is known of a workload without pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Podless {
    /// It was made a moment ago: look again.
    New,
    /// It has had the time: its events say why.
    Due,
}

/// Whether a workload that should have pods has none, of those that were read.
pub fn podless(seen: &Objects<Applied>, of: &PodsOf, now: Timestamp) -> Option<Podless> {
    let meta = match of.kind() {
        "StatefulSet" => {
            seen.get::<StatefulSet>(of.name())
                .filter(is_empty)?
                .metadata
        }
        "Job" => seen.get::<Job>(of.name()).filter(is_idle)?.metadata,
        _ => return None,
    };
    Some(if is_older(&meta, now) {
        Podless::Due
    } else {
        Podless::New
    })
}

fn is_empty(set: &StatefulSet) -> bool {
    let status = set.status.as_ref();
    status.is_none_or(|status| status.replicas == 0)
}

/// Neither under way nor ended, and without a try that failed.
fn is_idle(job: &Job) -> bool {
    let Some(status) = &job.status else {
        return true;
    };
    let none = |count: Option<i32>| count.unwrap_or(0) == 0;
    let ends = ["Complete", "Failed"];
    let mut conditions = status.conditions.iter().flatten();
    none(status.active)
        && none(status.failed)
        && none(status.succeeded)
        && !conditions.any(|c| ends.contains(&c.type_.as_str()) && c.status == "True")
}

fn is_older(meta: &ObjectMeta, now: Timestamp) -> bool {
    let made = meta.creation_timestamp.as_ref();
    made.is_none_or(|Time(made)| now.duration_since(*made) >= PATIENCE)
}

/// Why a workload makes no pods, where its controller's words were read.
pub(crate) fn refused(seen: &Objects<Applied>, of: &PodsOf) -> Option<Trouble> {
    let said = seen.items.iter().find_map(|item| match &item.live {
        Live::Refused(said) if item.key.kind == of.kind() && item.key.name == of.name() => {
            Some(said)
        }
        _ => None,
    })?;
    let message = format!(
        "{} {} cannot make pods: {}",
        of.kind(),
        of.name(),
        cause(said)
    );
    Some(Trouble {
        reason: "PodsRefused",
        message,
        stalls: true,
    })
}

/// The cause, without the name of the pod, which is another one with each try.
pub(crate) fn cause(said: &str) -> String {
    let (_, cause) = said.split_once(" is forbidden: ").unwrap_or(("", said));
    let line = cause.lines().next().unwrap_or_default().trim();
    quote(line.trim_end_matches('.'), LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::key_of;

    fn seen(made: &str, status: &Value) -> Objects<Applied> {
        let set = json!({ "metadata": { "name": "demo-postgres", "creationTimestamp": made },
            "spec": { "selector": {}, "template": {} }, "status": status });
        let key = key_of::<StatefulSet>("shops", "demo-postgres");
        Some(Applied::decode(key, &set)).into_iter().collect()
    }

    #[test]
    fn a_set_without_pods_is_asked_about_once_it_has_had_the_time() {
        let now = "2026-01-01T00:00:10Z".parse().expect("an instant");
        let of = PodsOf::set("demo-postgres");
        let ask = |made: &str, status| podless(&seen(made, &status), &of, now);
        let none = || json!({ "replicas": 0 });
        assert_eq!(ask("2026-01-01T00:00:00Z", none()), Some(Podless::Due));
        assert_eq!(ask("2026-01-01T00:00:09Z", none()), Some(Podless::New));
        assert_eq!(ask("2026-01-01T00:00:00Z", json!({ "replicas": 1 })), None);
    }

    #[test]
    fn the_cause_is_the_same_with_each_try() {
        let said = |pod: &str| {
            format!(
                "Error creating: pods \"{pod}\" is forbidden: failed quota: q: must specify limits.cpu for: migrate."
            )
        };
        assert_eq!(
            cause(&said("a-x1")),
            "failed quota: q: must specify limits.cpu for: migrate"
        );
        assert_eq!(cause(&said("a-x1")), cause(&said("a-z9")));
        assert_eq!(cause("no room"), "no room");
    }
}
