//! Asking the data plane of a Gateway which key sets of policies it has no key of: a policy with such a set refuses
//! every token, and nothing in the API server shows it.

use crate::quote::quote;
use std::collections::{BTreeMap, BTreeSet};

use gateway_routes::refresh_of;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;

use crate::{
    names,
    probe::{Question, Said},
    service_deployment::GATEWAY_LABEL,
    storefront::METRICS_PORT,
};

/// How long after a change of policies or pods the first question is put: by then a data plane has tried.
pub const FIRST: SignedDuration = SignedDuration::from_secs(6);
/// Time until the next look for a pod that is ready.
pub const STARTING: SignedDuration = SignedDuration::from_secs(30);
/// Time between two questions while a key set cannot be used.
const FAILING: SignedDuration = SignedDuration::from_secs(10);
/// Time between two questions to a data plane that does not answer.
const SILENT: SignedDuration = SignedDuration::from_mins(5);
/// Longest quotation of a reason.
const LONGEST: usize = 300;

/// Selects the pods of the data plane of a Gateway.
pub fn pods(gateway: &str) -> String {
    format!("{GATEWAY_LABEL}={}", names::label_value(gateway))
}

/// The question to the first of these pods that is ready.
pub fn question(pods: &[Pod]) -> Option<Question> {
    let ready = pods.iter().filter(|pod| is_ready(pod));
    let pod = ready.min_by_key(|pod| pod.metadata.name.clone())?;
    Some(Question {
        pod: pod.metadata.name.clone()?,
        host: pod.status.as_ref()?.pod_ip.clone()?,
        port: METRICS_PORT,
        path: "/readyz".to_owned(),
        probe: "readiness",
    })
}

/// What is wrong with key sets at a data plane, by their URI, each with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// Those of which it has no key.
    pub unusable: BTreeMap<String, String>,
    /// Those that it cannot fetch again. It has the keys of before.
    pub stale: BTreeMap<String, String>,
}

impl Troubles {
    fn is_empty(&self) -> bool {
        self.unusable.is_empty() && self.stale.is_empty()
    }

    /// Forgets other key sets than these.
    pub fn retain(&mut self, wanted: &BTreeSet<String>) {
        self.unusable.retain(|uri, _| wanted.contains(uri));
        self.stale.retain(|uri, _| wanted.contains(uri));
    }
}

/// What is wrong with these key sets, by what was answered; `None` where nobody answered.
pub fn troubles(said: &Said, wanted: &BTreeSet<String>) -> Option<Troubles> {
    let Said::Response { degraded, .. } = said else {
        return None;
    };
    let named = |name: &dyn Fn(&str) -> String| {
        let found = wanted.iter().filter_map(|uri| {
            let why = degraded.get(&name(uri))?;
            Some((uri.clone(), quote(why, LONGEST)))
        });
        found.collect()
    };
    Some(Troubles {
        unusable: named(&str::to_owned),
        stale: named(&refresh_of),
    })
}

/// When to ask again; `None` once there is nothing more to learn before something changes, or the kubelet warns of
/// the data plane.
pub fn again(troubles: Option<&Troubles>) -> Option<SignedDuration> {
    match troubles {
        None => Some(SILENT),
        Some(troubles) => (!troubles.is_empty()).then_some(FAILING),
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|it| it.type_ == "Ready" && it.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": name },
            "status": { "podIP": "10.1.1.1", "conditions": [{ "type": "Ready", "status": ready }] } }))
        .expect("a pod")
    }

    fn said(degraded: &[(&str, &str)]) -> Said {
        let degraded = degraded.iter();
        Said::Response {
            code: 200,
            failing: BTreeMap::new(),
            degraded: degraded
                .map(|(uri, why)| ((*uri).to_owned(), (*why).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_pod_that_is_ready_is_asked() {
        let asked = question(&[pod("c", "True"), pod("a", "False"), pod("b", "True")]);
        assert_eq!(asked.map(|it| it.pod).as_deref(), Some("b"));
        assert_eq!(question(&[pod("a", "False")]), None);
        assert_eq!(question(&[]), None);
    }

    #[test]
    fn only_key_sets_of_policies_count_and_nothing_is_asked_once_all_can_be_used() {
        let wanted = BTreeSet::from(["http://a/".to_owned()]);
        let good = troubles(&said(&[("http://b/", "refused")]), &wanted);
        assert_eq!(good, Some(Troubles::default()));
        assert_eq!(again(good.as_ref()), None);
        let named = BTreeMap::from([("http://a/".to_owned(), "refused".to_owned())]);
        let bad = troubles(&said(&[("http://a/", "refused")]), &wanted).expect("an answer");
        assert_eq!((&bad.unusable, bad.stale.len()), (&named, 0));
        assert_eq!(again(Some(&bad)), Some(FAILING));
        let old = troubles(&said(&[("refresh of http://a/", "refused")]), &wanted);
        let old = old.expect("an answer");
        assert_eq!((&old.stale, old.unusable.len()), (&named, 0));
        assert_eq!(again(Some(&old)), Some(FAILING));
        assert_eq!(troubles(&Said::Nothing, &wanted), None);
        assert_eq!(again(None), Some(SILENT));
    }
}
