//! The migration Job: it completes before the first pod of a new revision starts.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};

use super::{
    valid::{Migration, Valid},
    workload,
};
use crate::{hash, names, pods};

/// Tries before the migration counts as failed; with the kubelet's backoff about half an hour.
const TRIES: i32 = 10;

/// Name of the migration Job of a revision.
pub fn job_name(service: &str, revision: &str) -> String {
    names::child(service, &format!("migrate-{revision}"))
}

/// The Job and its revision; a Job cannot be changed, so all of it is in the revision.
pub(super) fn plan(valid: &Valid) -> Option<(Job, String)> {
    let migrate = valid.service.spec.migrate.as_ref()?;
    let mut labels = valid
        .scope
        .pod_labels("migrate", &format!("{}-migrate", valid.name()));
    labels.extend(super::network::client_labels(valid));
    let pod = workload::migrating_pod(valid, &migrate.args);
    let template = pods::template(labels, BTreeMap::new(), pod);
    let text = serde_json::to_vec(&template).unwrap_or_default();
    let revision = hash::short([text.as_slice()]);
    let job = Job {
        metadata: valid.scope.meta(
            &job_name(valid.name(), &revision),
            valid.app(),
            valid.name(),
        ),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            template,
            ..JobSpec::default()
        }),
        status: None,
    };
    Some((job, revision))
}

/// Progress of the migration, from the Jobs that exist.
pub(super) fn observe(valid: &Valid, jobs: &BTreeMap<String, Job>) -> Migration {
    let Some((_, revision)) = plan(valid) else {
        return Migration::Unneeded;
    };
    let before = valid
        .service
        .status
        .as_ref()
        .and_then(|s| s.migrated.as_deref());
    let job = job_name(valid.name(), &revision);
    let has = |type_: &str| {
        let status = jobs.get(&job).and_then(|job| job.status.as_ref());
        let list = status.and_then(|status| status.conditions.as_ref());
        list.into_iter()
            .flatten()
            .any(|c| c.type_ == type_ && c.status == "True")
    };
    if has("Complete") || before == Some(revision.as_str()) {
        Migration::Done { revision }
    } else if has("Failed") {
        Migration::Failed { job }
    } else {
        Migration::Running { job }
    }
}
