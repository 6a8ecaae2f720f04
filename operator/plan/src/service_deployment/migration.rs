//! The migration Job: it completes before the first pod of a new revision starts.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;

use super::{
    valid::{Migration, Valid},
    workload,
};
use crate::{
    hash,
    job::{self, End},
    names, pods,
};

/// Tries before the migration counts as failed; with the backoff of Jobs about twenty minutes.
const TRIES: i32 = 8;
/// Longest time of all tries together, in seconds, where the spec has none.
const DEADLINE_SECS: i64 = 3600;

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
    let template = pods::template(labels, workload::annotations(valid), pod);
    // The deadline is no part of the revision: a longer one runs nothing again.
    let text = serde_json::to_vec(&template).unwrap_or_default();
    let revision = hash::short([text.as_slice()]);
    let name = job_name(valid.name(), &revision);
    let meta = valid.scope.meta(&name, valid.app(), valid.name());
    let deadline = migrate.deadline.as_deref().and_then(crds::duration_secs);
    let deadline = deadline.and_then(|secs| i64::try_from(secs).ok());
    let deadline = deadline.unwrap_or(DEADLINE_SECS);
    Some((job::job(meta, template, TRIES, Some(deadline)), revision))
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
    let end = job::end_of(jobs.get(&job));
    if end == Some(End::Complete) || before == Some(revision.as_str()) {
        return Migration::Done { revision };
    }
    match end {
        Some(End::Failed) => Migration::Failed {
            job,
            is_late: false,
        },
        Some(End::TooLate) => Migration::Failed { job, is_late: true },
        Some(End::Complete) | None => Migration::Running { job },
    }
}
