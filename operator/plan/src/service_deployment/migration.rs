//! The migration Job: it completes before the first pod of a new revision starts.

use std::collections::BTreeMap;

use crds::{Migrate, PodSettings};
use k8s_openapi::api::{batch::v1::Job, core::v1::PodTemplateSpec};

use super::{
    valid::{Migration, Valid},
    workload,
};
use crate::{
    Objects, Planned, hash,
    job::{self, End},
    names, pods,
    settings::Settings,
};

/// Tries before the migration counts as failed; with the backoff of Jobs about twenty minutes.
const TRIES: i32 = 8;
/// Longest time of all tries together, in seconds, where the spec has none.
const DEADLINE_SECS: i64 = 3600;

/// Name of a migration Job. A Job cannot be changed, so `tag` is a hash of all of it.
pub fn job_name(service: &str, tag: &str) -> String {
    names::child(service, &format!("migrate-{tag}"))
}

/// A migration as it would be planned.
struct Plan {
    job: Job,
    /// What distinguishes what it does. Where it runs does not: that alone is no reason to run it again.
    revision: String,
    /// What a release before this one recorded as the revision.
    before: String,
}

/// Plans the Job until it has completed. From then on it is left as it is.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let Some(Plan { job, .. }) = planned(valid) else {
        return;
    };
    let name = job.metadata.name.as_deref().unwrap_or_default();
    if matches!(valid.migration, Migration::Done { .. }) {
        objects.keep::<Job>(&valid.scope.namespace, name);
    } else {
        objects.apply(&job);
    }
}

fn planned(valid: &Valid) -> Option<Plan> {
    let migrate = valid.service.spec.migrate.as_ref()?;
    let settings = workload::settings(valid);
    let without_place = Settings {
        pods: PodSettings::default(),
        ..settings.clone()
    };
    let whole = template(valid, migrate, &settings);
    let name = job_name(valid.name(), &hash_of(&whole));
    let meta = valid.scope.meta(&name, valid.app(), valid.name());
    // The deadline is no part of the name either: a longer one runs nothing again.
    let deadline = migrate.deadline.as_deref().and_then(crds::duration_secs);
    let deadline = deadline.and_then(|secs| i64::try_from(secs).ok());
    let deadline = Some(deadline.unwrap_or(DEADLINE_SECS));
    Some(Plan {
        job: job::job(meta, whole, TRIES, deadline),
        revision: hash_of(&essence(template(valid, migrate, &Settings::default()))),
        before: hash_of(&template(valid, migrate, &without_place)),
    })
}

fn template(valid: &Valid, migrate: &Migrate, settings: &Settings) -> PodTemplateSpec {
    let mut labels = valid
        .scope
        .pod_labels("migrate", &format!("{}-migrate", valid.name()));
    labels.extend(super::network::client_labels(valid));
    let pod = workload::migrating_pod(valid, &migrate.args);
    pods::template(labels, workload::annotations(valid), pod, settings)
}

/// What of a migration decides what it does: its image, arguments, files and environment, without what visitors see.
fn essence(mut template: PodTemplateSpec) -> PodTemplateSpec {
    let containers = template.spec.iter_mut().flat_map(|pod| &mut pod.containers);
    for container in containers {
        container.resources = None;
        if let Some(env) = &mut container.env {
            env.retain(|var| !workload::FACE.contains(&var.name.as_str()));
        }
    }
    template
}

fn hash_of(template: &PodTemplateSpec) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    hash::short([text.as_slice()])
}

/// Progress of the migration, from the Jobs that exist.
pub(super) fn observe(valid: &Valid, jobs: &BTreeMap<String, Job>) -> Migration {
    let Some(Plan {
        job,
        revision,
        before,
    }) = planned(valid)
    else {
        return Migration::Unneeded;
    };
    let known = valid
        .service
        .status
        .as_ref()
        .and_then(|s| s.migrated.as_deref());
    let job = job.metadata.name.unwrap_or_default();
    let end = job::end_of(jobs.get(&job));
    let is_known = known.is_some_and(|known| known == revision || known == before);
    if end == Some(End::Complete) || is_known {
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
