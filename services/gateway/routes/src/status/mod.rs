//! Conditions of objects. They change only when their content changes.

mod backend_tls;
mod gateway;
mod gateway_class;
mod policy;
mod route;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use gateway::DataPlane;
pub use gateway_class::{SUPPORTED_FEATURES, gateway_class_status};

use crate::api::Condition;
use crate::verdict::Verdict;

/// Time and generation of the verdicts.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub now: Timestamp,
    pub generation: Option<i64>,
}

/// Merges verdicts into conditions. Existing ones keep their place, and their time while the status is the same, so
/// that the same verdicts give the same bytes. Types listed in `known` without a verdict are removed; types of
/// others stay.
pub(crate) fn settle(
    previous: &[Condition],
    known: &[&str],
    wanted: &[(&str, Verdict)],
    stamp: Stamp,
) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = previous
        .iter()
        .filter(|old| {
            !known.contains(&old.type_.as_str())
                || wanted.iter().any(|(type_, _)| *type_ == old.type_)
        })
        .cloned()
        .collect();
    for (type_, verdict) in wanted {
        let status = if verdict.ok { "True" } else { "False" };
        let mut fresh = Condition {
            type_: (*type_).to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message.clone(),
            observed_generation: stamp.generation,
            last_transition_time: Time(whole_second(stamp.now)),
        };
        match conditions.iter_mut().find(|old| old.type_ == *type_) {
            Some(old) => {
                if old.status == fresh.status {
                    fresh.last_transition_time = old.last_transition_time.clone();
                }
                *old = fresh;
            }
            None => conditions.push(fresh),
        }
    }
    conditions
}

/// Kubernetes stores whole seconds: more would never compare equal to what was read back.
fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
