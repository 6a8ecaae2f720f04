//! Jobs end, and their logs outlive a failure.

use crds::ServiceDeployment;
use k8s_openapi::api::batch::v1::Job;
use operator_plan::{
    Verdict,
    service_deployment::{self, Migration},
};
use serde_json::json;

use crate::fixtures::{around, example, platform, shop};

fn service() -> ServiceDeployment {
    example("team-service.yaml").pop().expect("one")
}

fn job_of(service: &ServiceDeployment) -> (String, Job) {
    let shop = shop("storefront.yaml");
    let valid = service_deployment::validate(service, &around(service, &shop), &platform()).ready();
    let valid = valid.expect("valid");
    let Migration::Running { job } = valid.migration() else {
        panic!("the migration runs");
    };
    let planned = service_deployment::desired(&valid).items;
    let found = planned.into_iter().find(|item| item.key.kind == "Job");
    let body = found.expect("a Job").body;
    (job.clone(), serde_json::from_value(body).expect("a Job"))
}

#[test]
fn a_migration_keeps_its_failed_pods_and_has_a_deadline() {
    let mut service = service();
    let (name, job) = job_of(&service);
    let spec = job.spec.expect("a spec");
    let pod = spec.template.spec.expect("a pod");
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    assert_eq!(spec.active_deadline_seconds, Some(1800));
    service.spec.migrate.as_mut().expect("one").deadline = None;
    let (same, job) = job_of(&service);
    assert_eq!(
        job.spec.expect("a spec").active_deadline_seconds,
        Some(3600)
    );
    assert_eq!(same, name, "another deadline runs nothing again");
}

#[test]
fn a_migration_that_does_not_end_is_told_from_one_that_fails() {
    let service = service();
    let shop = shop("storefront.yaml");
    let (name, _) = job_of(&service);
    for (reason, says) in [
        ("DeadlineExceeded", "did not end in time"),
        ("BackoffLimitExceeded", "the migration failed"),
    ] {
        let failed: Job = serde_json::from_value(json!({ "metadata": { "name": name },
            "status": { "conditions": [{ "type": "Failed", "status": "True", "reason": reason }] } }))
        .expect("a Job");
        let mut seen = around(&service, &shop);
        seen.jobs.insert(name.clone(), failed);
        let Verdict::Invalid(why) = service_deployment::validate(&service, &seen, &platform())
        else {
            panic!("a failed migration is final");
        };
        assert_eq!(why.reason, "MigrationFailed");
        assert!(why.message.contains(says), "{}", why.message);
        let log = format!("kubectl logs job/{name}");
        assert!(why.message.contains(&log), "{}", why.message);
    }
}
