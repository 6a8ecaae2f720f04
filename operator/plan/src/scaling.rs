//! How many pods a workload has: autoscalers of ours and of others, and what an eviction may take.

use std::collections::BTreeMap;

use crds::Replicas;
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

/// Name of the Deployment that an autoscaler scales.
pub fn target(scaler: &HorizontalPodAutoscaler) -> Option<&str> {
    let target = &scaler.spec.as_ref()?.scale_target_ref;
    let version = target.api_version.as_deref().unwrap_or("apps/v1");
    let is_deployment = target.kind == "Deployment" && version.starts_with("apps/");
    is_deployment.then_some(target.name.as_str())
}

/// Whether an autoscaler scales the Deployment called `deployment` and was not made for the object with this uid.
pub fn is_foreign(scaler: &HorizontalPodAutoscaler, deployment: &str, uid: &str) -> bool {
    let mut owners = scaler.metadata.owner_references.iter().flatten();
    target(scaler) == Some(deployment) && owners.all(|owner| owner.uid != uid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_autoscaler_of_the_deployment_is_somebody_elses_unless_it_was_made_for_the_owner() {
        let scaler = |kind: &str, owner: &str| -> HorizontalPodAutoscaler {
            serde_json::from_value(json!({
                "metadata": { "name": "x", "ownerReferences": [{
                    "apiVersion": "v1", "kind": "K", "name": "k", "uid": owner }] },
                "spec": { "maxReplicas": 3, "scaleTargetRef": {
                    "apiVersion": "apps/v1", "kind": kind, "name": "demo-order" } },
            }))
            .expect("an autoscaler")
        };
        assert!(is_foreign(&scaler("Deployment", "u2"), "demo-order", "u1"));
        assert!(!is_foreign(&scaler("Deployment", "u1"), "demo-order", "u1"));
        assert!(!is_foreign(&scaler("Deployment", "u2"), "demo-web", "u1"));
        assert!(!is_foreign(
            &scaler("StatefulSet", "u2"),
            "demo-order",
            "u1"
        ));
    }
}
