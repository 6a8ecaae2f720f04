//! How many pods a workload has: autoscalers of ours and of others, and what an eviction may take.

use crate::quote::quote;
use std::collections::BTreeMap;

use crds::{GROUP, Replicas};
use k8s_openapi::{
    api::{
        autoscaling::v2::{
            CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
            MetricSpec, MetricTarget, ResourceMetricSource,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::pods;

/// Longest quotation of an autoscaler.
const LONGEST: usize = 200;

/// The autoscaler of the Deployment called `name`; `None` where its number of pods is fixed.
pub(crate) fn autoscaler(
    metadata: ObjectMeta,
    name: &str,
    replicas: &Replicas,
) -> Option<HorizontalPodAutoscaler> {
    let max = replicas.max.filter(|max| *max > replicas.min)?;
    Some(HorizontalPodAutoscaler {
        metadata,
        spec: Some(HorizontalPodAutoscalerSpec {
            min_replicas: Some(replicas.min),
            max_replicas: max,
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".into()),
                kind: "Deployment".into(),
                name: name.to_owned(),
            },
            metrics: Some(vec![MetricSpec {
                type_: "Resource".into(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".into(),
                    target: MetricTarget {
                        type_: "Utilization".into(),
                        average_utilization: Some(replicas.cpu_percent.unwrap_or(70)),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            behavior: None,
        }),
        status: None,
    })
}

/// A budget that lets an eviction take one pod at a time.
pub(crate) fn disruption_budget(
    metadata: ObjectMeta,
    selector: BTreeMap<String, String>,
) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata,
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(pods::label_selector(selector)),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

/// An object of ours whose number of pods an autoscaler can decide, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The workload.
    Deployment(&'a str),
    /// What it is made from, by its scale subresource.
    ServiceDeployment(&'a str),
}

/// What an autoscaler scales.
pub fn target(scaler: &HorizontalPodAutoscaler) -> Option<Target<'_>> {
    let target = &scaler.spec.as_ref()?.scale_target_ref;
    let (version, name) = (target.api_version.as_deref(), target.name.as_str());
    let group = version.map_or("apps", |it| it.split('/').next().unwrap_or_default());
    match (group, target.kind.as_str()) {
        ("apps", "Deployment") => Some(Target::Deployment(name)),
        (GROUP, "ServiceDeployment") => Some(Target::ServiceDeployment(name)),
        _ => None,
    }
}

/// Why an autoscaler changes nothing, if it says so: most often there are no metrics.
pub(crate) fn idle(scaler: &HorizontalPodAutoscaler) -> Option<String> {
    let conditions = scaler.status.as_ref()?.conditions.as_ref()?;
    let active = conditions.iter().find(|it| it.type_ == "ScalingActive");
    let active = active.filter(|it| it.status == "False")?;
    // Somebody has set the number of pods to zero, which turns it off.
    if active.reason.as_deref() == Some("ScalingDisabled") {
        return None;
    }
    let message = active.message.as_deref().unwrap_or_default();
    Some(quote(message, LONGEST))
}

/// Whether an autoscaler scales this and was not made for the object with this uid.
pub fn is_foreign(scaler: &HorizontalPodAutoscaler, wanted: Target<'_>, uid: &str) -> bool {
    let mut owners = scaler.metadata.owner_references.iter().flatten();
    target(scaler) == Some(wanted) && owners.all(|owner| owner.uid != uid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_autoscaler_of_the_deployment_is_somebody_elses_unless_it_was_made_for_the_owner() {
        let scaler = |version: &str, kind: &str, owner: &str| -> HorizontalPodAutoscaler {
            serde_json::from_value(json!({
                "metadata": { "name": "x", "ownerReferences": [{
                    "apiVersion": "v1", "kind": "K", "name": "k", "uid": owner }] },
                "spec": { "maxReplicas": 3, "scaleTargetRef": {
                    "apiVersion": version, "kind": kind, "name": "demo-order" } },
            }))
            .expect("an autoscaler")
        };
        let (order, web) = (
            Target::Deployment("demo-order"),
            Target::Deployment("demo-web"),
        );
        let service = Target::ServiceDeployment("demo-order");
        let deployment = |owner| scaler("apps/v1", "Deployment", owner);
        assert!(is_foreign(&deployment("u2"), order, "u1"));
        assert!(!is_foreign(&deployment("u1"), order, "u1"));
        assert!(!is_foreign(&deployment("u2"), web, "u1"));
        assert!(!is_foreign(&deployment("u2"), service, "u1"));
        let of_service = scaler("storefront.dev/v1alpha1", "ServiceDeployment", "u2");
        assert!(is_foreign(&of_service, service, "u1"));
        assert!(!is_foreign(&of_service, order, "u1"));
        let other = [("apps/v1", "StatefulSet"), ("example.com/v1", "Deployment")];
        for (version, kind) in other {
            assert_eq!(target(&scaler(version, kind, "u2")), None);
        }
    }
}
