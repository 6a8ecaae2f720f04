//! What pods need to start, and whether the pods of a workload are those of its present template.
//!
//! Pods of an earlier template run on until a rollout has come to its end, and one of them that is evicted is started
//! again. It cannot be without the Secrets of its template, which nothing keeps once a rollout is under way. So a Secret
//! that is no longer planned is deleted when each workload has completed its rollout, and no template refers to it.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{Container, PodSpec},
};

use crate::job::end_of;

/// A kind whose objects make pods.
pub trait MakesPods {
    /// What the pods that it makes from now on are made from; `None` once it makes no more.
    fn pod(&self) -> Option<&PodSpec>;

    /// Whether no pod of an earlier template runs, or would be started again.
    fn is_rolled_out(&self) -> bool;
}

impl MakesPods for Deployment {
    fn pod(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    /// As `kubectl rollout status` decides it. A new pod that is not available counts, because until it is, an old one
    /// that ends is replaced by another old one.
    fn is_rolled_out(&self) -> bool {
        let status = self.status.clone().unwrap_or_default();
        let wanted = self.spec.as_ref().and_then(|spec| spec.replicas);
        let updated = status.updated_replicas.unwrap_or(0);
        status.observed_generation == self.metadata.generation
            && updated >= wanted.unwrap_or(1)
            && updated >= status.replicas.unwrap_or(0)
            && status.available_replicas.unwrap_or(0) >= updated
    }
}

impl MakesPods for StatefulSet {
    fn pod(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    fn is_rolled_out(&self) -> bool {
        let status = self.status.clone().unwrap_or_default();
        let wanted = self.spec.as_ref().and_then(|spec| spec.replicas);
        status.observed_generation == self.metadata.generation
            && status.current_revision == status.update_revision
            && status.ready_replicas.unwrap_or(0) >= wanted.unwrap_or(1)
    }
}

impl MakesPods for Job {
    fn pod(&self) -> Option<&PodSpec> {
        let spec = self.spec.as_ref().filter(|_| end_of(Some(self)).is_none());
        spec?.template.spec.as_ref()
    }

    /// Its template cannot change.
    fn is_rolled_out(&self) -> bool {
        true
    }
}

/// Names of the Secrets without which the pods of a workload do not start.
pub fn secrets(workload: &impl MakesPods) -> BTreeSet<String> {
    workload.pod().map(named).unwrap_or_default()
}

fn named(pod: &PodSpec) -> BTreeSet<String> {
    let volumes = pod.volumes.iter().flatten();
    let whole = volumes.clone().filter_map(|volume| {
        let secret = volume.secret.as_ref()?;
        secret.secret_name.clone()
    });
    let parts = volumes.filter_map(|volume| volume.projected.as_ref());
    let parts = parts.flat_map(|projected| projected.sources.iter().flatten());
    let parts = parts.filter_map(|source| Some(source.secret.as_ref()?.name.clone()));
    let pulls = pod.image_pull_secrets.iter().flatten();
    let pulls = pulls.map(|pull| pull.name.clone());
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    whole
        .chain(parts)
        .chain(pulls)
        .chain(containers.flat_map(of_environment))
        .collect()
}

fn of_environment(container: &Container) -> impl Iterator<Item = String> {
    let sources = container.env_from.iter().flatten();
    let sources = sources.filter_map(|source| Some(source.secret_ref.as_ref()?.name.clone()));
    let values = container.env.iter().flatten();
    let values = values.filter_map(|value| {
        let from = value.value_from.as_ref()?;
        Some(from.secret_key_ref.as_ref()?.name.clone())
    });
    sources.chain(values)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(wanted: i32, status: &Value) -> Deployment {
        let object = json!({ "metadata": { "generation": 2 }, "status": status,
            "spec": { "replicas": wanted, "selector": {}, "template": {} } });
        serde_json::from_value(object).expect("a Deployment")
    }

    #[test]
    fn every_secret_that_a_pod_refers_to_is_found() {
        let object = json!({ "metadata": {}, "spec": { "selector": {}, "template": { "spec": {
            "imagePullSecrets": [{ "name": "pull" }],
            "initContainers": [{ "name": "first", "envFrom": [{ "secretRef": { "name": "from" } }] }],
            "containers": [{ "name": "main", "env": [{ "name": "A", "value": "b" },
                { "name": "K", "valueFrom": { "secretKeyRef": { "name": "key", "key": "k" } } }] }],
            "volumes": [{ "name": "v", "secret": { "secretName": "volume" } }, { "name": "e", "emptyDir": {} },
                { "name": "p", "projected": { "sources": [{ "secret": { "name": "projected" } }] } }] } } } });
        let found: Deployment = serde_json::from_value(object).expect("a Deployment");
        let found: Vec<String> = secrets(&found).into_iter().collect();
        assert_eq!(found, ["from", "key", "projected", "pull", "volume"]);
    }

    #[test]
    fn a_rollout_is_over_when_every_pod_is_new_and_available() {
        let status = |replicas, updated, available, seen| {
            json!({ "replicas": replicas, "updatedReplicas": updated,
            "availableReplicas": available, "observedGeneration": seen })
        };
        for (name, wanted, status, expected) in [
            ("all new", 2, status(2, 2, 2, 2), true),
            ("not seen yet", 2, status(2, 2, 2, 1), false),
            ("an old one runs", 2, status(3, 2, 3, 2), false),
            ("the new one does not come up", 1, status(2, 1, 1, 2), false),
            (
                "and the old one has just been evicted",
                1,
                status(1, 1, 0, 2),
                false,
            ),
            ("scaled to nothing", 0, status(0, 0, 0, 2), true),
        ] {
            assert_eq!(
                deployment(wanted, &status).is_rolled_out(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_set_with_two_revisions_is_not_rolled_out() {
        let set = |current: &str| -> StatefulSet {
            let object = json!({ "metadata": { "generation": 2 }, "spec": { "selector": {}, "template": {} },
                "status": { "observedGeneration": 2, "replicas": 1, "readyReplicas": 1,
                    "currentRevision": current, "updateRevision": "b" } });
            serde_json::from_value(object).expect("a StatefulSet")
        };
        assert!(!set("a").is_rolled_out());
        assert!(set("b").is_rolled_out());
    }

    #[test]
    fn a_job_that_has_ended_needs_nothing() {
        let job = |status: Value| -> Job {
            let object = json!({ "metadata": {}, "status": status, "spec": { "template": { "spec": { "containers": [],
                "volumes": [{ "name": "v", "secret": { "secretName": "volume" } }] } } } });
            serde_json::from_value(object).expect("a Job")
        };
        assert_eq!(secrets(&job(json!({ "active": 1 }))).len(), 1);
        let complete = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
        assert!(secrets(&job(complete)).is_empty());
    }
}
