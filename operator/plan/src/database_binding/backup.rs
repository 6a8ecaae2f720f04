//! The dump that is taken, and read back, before a database is dropped.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Container, PersistentVolumeClaim, PersistentVolumeClaimSpec,
            PersistentVolumeClaimVolumeSource, PodSpec, Volume, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::{Valid, secret_name};
use crate::{
    Objects, Planned, hash, names,
    pods::{self, mount},
    storefront::flows::DATABASE_CLIENT,
};

/// Where the volume is in the Job's pod.
pub const BACKUP_MOUNT: &str = "/backup";
/// Tries before the backup counts as failed; nothing is dropped then.
const TRIES: i32 = 6;
const SIZE: &str = "5Gi";

/// A dump counts only once it has been listed from end to end and has its final name.
const SCRIPT: &str = r#"set -eu
export PATH="/usr/lib/postgresql/15/bin:$PATH"
cd /bindings/database
export PGHOST="$(cat host)" PGPORT="$(cat port)" PGUSER="$(cat username)" PGPASSWORD="$(cat password)"
pg_dump --format=custom --file="/backup/$BACKUP_FILE.part" "$(cat database)"
pg_restore --list "/backup/$BACKUP_FILE.part" > /dev/null
mv "/backup/$BACKUP_FILE.part" "/backup/$BACKUP_FILE"
sync
"#;

/// Name of the Job that dumps this binding's database.
pub fn backup_job_name(valid: &Valid) -> String {
    names::child(valid.name(), &format!("backup-{}", tag(valid)))
}

/// Name of the volume claim that holds the dumps; it survives the binding.
pub fn backup_volume_name(valid: &Valid) -> String {
    names::child(valid.name(), "backup")
}

/// The dump's file in the volume: each life of a binding has its own, so that none is overwritten.
pub(super) fn file(valid: &Valid) -> String {
    format!("{}-{}.dump", valid.names.database, tag(valid))
}

fn tag(valid: &Valid) -> String {
    hash::short([valid.names.uid.as_bytes()])
}

/// Plans the volume and the Job.
pub(super) fn plan(valid: &Valid) -> Objects<Planned> {
    let mut objects = Objects::new();
    objects.apply(&volume(valid));
    objects.apply(&job(valid));
    objects
}

fn volume(valid: &Valid) -> PersistentVolumeClaim {
    let mut meta = valid
        .scope
        .meta(&backup_volume_name(valid), "backup", valid.name());
    // Without an owner: it is made to outlive the binding, and the shop.
    meta.owner_references = None;
    if let Some(labels) = meta.labels.as_mut() {
        labels.remove(crate::objects::OWNER_UID_LABEL);
    }
    PersistentVolumeClaim {
        metadata: meta,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(SIZE.to_owned()),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

fn job(valid: &Valid) -> Job {
    let mut labels = valid.scope.pod_labels("backup", valid.name());
    labels.insert(DATABASE_CLIENT.into(), "true".into());
    let container = Container {
        name: "backup".into(),
        image: Some(valid.backup_image.clone()),
        image_pull_policy: Some(valid.pull_policy.clone()),
        command: Some(vec!["/bin/sh".into(), "-c".into(), SCRIPT.into()]),
        env: Some(vec![pods::env("BACKUP_FILE", file(valid))]),
        resources: Some(pods::resources("50m", "48Mi", "512Mi")),
        security_context: Some(pods::container_security()),
        volume_mounts: Some(vec![
            mount("database", "/bindings/database", true),
            mount("backup", BACKUP_MOUNT, false),
            mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    };
    let backup = Volume {
        name: "backup".into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: backup_volume_name(valid),
            read_only: None,
        }),
        ..Volume::default()
    };
    let volumes = vec![
        pods::secret_volume("database", &secret_name(&valid.binding)),
        backup,
        pods::scratch_volume("tmp", "64Mi", false),
    ];
    // The user of the PostgreSQL image.
    let pod = pods::pod(container, volumes, pods::pod_security(Some(26), 26), 30);
    let pod = PodSpec {
        restart_policy: Some("OnFailure".into()),
        ..pod
    };
    Job {
        metadata: valid
            .scope
            .meta(&backup_job_name(valid), "backup", valid.name()),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            template: pods::template(labels, BTreeMap::new(), pod),
            ..JobSpec::default()
        }),
        status: None,
    }
}
