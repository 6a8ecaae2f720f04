//! Jobs: work that ends, in a time that is limited, with a log that can be read afterwards.
//!
//! ## Why a pod is not restarted
//! When a Job gives up, its controller deletes the pods that are running, and one whose container is restarted in
//! place is always running: its log went with it. A pod that is never restarted is kept when it
//! fails, and the next try is another pod.

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::PodTemplateSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// How a Job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    /// Every try failed.
    Failed,
    /// It ran for longer than it may.
    TooLate,
}

/// A Job of so many tries, which all together may take so long.
pub(crate) fn job(
    metadata: ObjectMeta,
    mut template: PodTemplateSpec,
    tries: i32,
    deadline_secs: Option<i64>,
) -> Job {
    if let Some(pod) = &mut template.spec {
        pod.restart_policy = Some("Never".into());
    }
    Job {
        metadata,
        spec: Some(JobSpec {
            backoff_limit: Some(tries),
            active_deadline_seconds: deadline_secs,
            template,
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// How a Job ended; `None` while it runs, or does not exist.
pub(crate) fn end_of(job: Option<&Job>) -> Option<End> {
    let status = job?.status.as_ref()?;
    let ended = |type_: &str| {
        let mut all = status.conditions.iter().flatten();
        all.find(|c| c.type_ == type_ && c.status == "True")
    };
    if ended("Complete").is_some() {
        return Some(End::Complete);
    }
    let failed = ended("Failed")?;
    let is_late = failed.reason.as_deref() == Some("DeadlineExceeded");
    Some(if is_late { End::TooLate } else { End::Failed })
}
