//! The dump that is taken, and read back, before a database is dropped.

use std::collections::BTreeMap;

use crds::{BackupStatus, BackupVolume, DatabaseBinding, Storefront};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Container, PersistentVolumeClaim, PersistentVolumeClaimSpec,
            PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Volume,
            VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::names::Wanted;
use crate::{
    Objects, Planned, Platform,
    backing::{postgres, role::Role},
    hash, names,
    objects::{OWNER_UID_LABEL, owner_of},
    pods::{self, Scope, mount},
    release::Release,
    resources::resources,
    settings::Settings,
};

/// Tries before the backup counts as failed; nothing is dropped then.
const TRIES: i32 = 6;
/// A dump counts only once it has been listed from end to end and has its final name. An older server's dump is
/// taken by programs of the image's own server, into which a newer program's could not be restored.
const SCRIPT: &str = r#"
cd /bindings/database
export PGHOST="$(cat host)" PGPORT="$(cat port)" PGUSER="$(cat username)" PGPASSWORD="$(cat password)"
if [ "$(psql -qAtX -c 'show server_version_num' "$(cat database)")" -ge "$NEWER" ]; then
  PATH="$NEWEST_CLIENTS:$PATH"
fi
pg_dump --format=custom --file="/backup/$BACKUP_FILE.part" "$(cat database)"
pg_restore --list "/backup/$BACKUP_FILE.part" > /dev/null
mv "/backup/$BACKUP_FILE.part" "/backup/$BACKUP_FILE"
sync
"#;

/// How far the dump is.
#[derive(Clone, Debug, PartialEq)]
pub enum BackupState {
    /// The dump is complete and has been read back: the database may go.
    Done(BackupStatus),
    /// The Job does not exist yet: see to it that the credentials work, and apply [`backup`].
    Absent,
    /// The Job has not ended: reconcile again when it changes.
    Running,
    /// The Job has given up: nothing may be dropped until somebody acts.
    Failed,
}

/// What takes the dump.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// Name of the Job. A Job cannot be changed, so its name has a hash of all of it.
    pub job: String,
    /// The volume and the Job.
    pub objects: Objects<Planned>,
}

/// Name of the volume claim that holds the dumps; it survives the binding.
pub fn backup_volume_name(wanted: &Wanted) -> String {
    names::child(&wanted.mark.name, "backup")
}

/// The volume and the Job that take the dump. The Job logs in with the binding's own Secret, which
/// must still be good. `shop` is the one that the binding is about: its release and its settings of pods hold for the
/// Job.
pub fn backup(
    binding: &DatabaseBinding,
    wanted: &Wanted,
    platform: &Platform,
    shop: Option<&Storefront>,
) -> Backup {
    let scope = Scope {
        namespace: wanted.mark.namespace.clone(),
        storefront: binding.spec.server_ref.storefront.clone(),
        owner: owner_of(binding),
    };
    let mut objects = Objects::new();
    let volume_of = binding.spec.backup.clone().unwrap_or_default();
    objects.apply(&volume(&scope, wanted, volume_of));
    let release = shop.map_or_else(
        || Release::of_operator(platform),
        |shop| Release::running(shop, platform),
    );
    let image = release.image(postgres::IMAGE);
    let settings = shop.map(|shop| Settings::of_part(&shop.spec, (None, None)));
    let pull = platform.pull_policy.clone();
    let template = template(&scope, wanted, (image, pull), &settings.unwrap_or_default());
    let job = job(&scope, wanted, template);
    objects.apply(&job);
    Backup {
        job: job.metadata.name.unwrap_or_default(),
        objects,
    }
}

/// Reads the Job of a [`Backup`].
pub fn backup_state(wanted: &Wanted, job: Option<&Job>) -> BackupState {
    let Some(job) = job else {
        return BackupState::Absent;
    };
    let Some(status) = &job.status else {
        return BackupState::Running;
    };
    let list = status.conditions.as_deref().unwrap_or_default();
    let has = |type_: &str| list.iter().any(|c| c.type_ == type_ && c.status == "True");
    if has("Complete") {
        BackupState::Done(BackupStatus {
            volume_claim: backup_volume_name(wanted),
            file: file(wanted),
            completed_at: status.completion_time.clone(),
        })
    } else if has("Failed") {
        BackupState::Failed
    } else {
        BackupState::Running
    }
}

/// Each life of a binding has a file of its own, so that no dump overwrites another.
fn file(wanted: &Wanted) -> String {
    format!("{}-{}.dump", wanted.names.database, tag(wanted))
}

fn tag(wanted: &Wanted) -> String {
    hash::short([wanted.mark.uid.as_bytes()])
}

fn volume(scope: &Scope, wanted: &Wanted, volume: BackupVolume) -> PersistentVolumeClaim {
    let mut meta = scope.meta(&backup_volume_name(wanted), "backup", &wanted.mark.name);
    // Without an owner: it is made to outlive the binding, and the shop.
    meta.owner_references = None;
    if let Some(labels) = meta.labels.as_mut() {
        labels.remove(OWNER_UID_LABEL);
    }
    PersistentVolumeClaim {
        metadata: meta,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: volume.storage_class_name,
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(volume.storage),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

fn template(
    scope: &Scope,
    wanted: &Wanted,
    (image, pull): (String, String),
    settings: &Settings,
) -> PodTemplateSpec {
    let name = wanted.mark.name.as_str();
    let mut labels = scope.pod_labels("backup", name);
    labels.insert(Role::Database.client_label().into(), "true".into());
    let script = format!(
        "set -eu\nexport PATH=\"{}:$PATH\"\nNEWEST_CLIENTS={} NEWER={}{SCRIPT}",
        postgres::PROGRAMS,
        postgres::NEWEST_CLIENTS,
        postgres::NEWER
    );
    let container = Container {
        name: "backup".into(),
        image: Some(image),
        image_pull_policy: Some(pull),
        command: Some(vec!["/bin/sh".into(), "-c".into(), script]),
        env: Some(vec![pods::env("BACKUP_FILE", file(wanted))]),
        resources: Some(resources("50m", "48Mi", "512Mi")),
        security_context: Some(pods::container_security()),
        volume_mounts: Some(vec![
            mount("database", "/bindings/database", true),
            mount("backup", "/backup", false),
            mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    };
    let dumps = Volume {
        name: "backup".into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: backup_volume_name(wanted),
            read_only: None,
        }),
        ..Volume::default()
    };
    let volumes = vec![
        pods::secret_volume("database", &wanted.names.secret),
        dumps,
        pods::scratch_volume("tmp", "64Mi", false),
    ];
    let security = pods::pod_security(Some(postgres::UID), postgres::UID);
    let pod = PodSpec {
        // One that fails is kept, with its log.
        restart_policy: Some("Never".into()),
        ..pods::pod(container, volumes, security, 30)
    };
    pods::template(labels, BTreeMap::new(), pod, settings)
}

fn job(scope: &Scope, wanted: &Wanted, template: PodTemplateSpec) -> Job {
    let name = wanted.mark.name.as_str();
    let text = serde_json::to_vec(&template).unwrap_or_default();
    let revision = hash::short([wanted.mark.uid.as_bytes(), text.as_slice()]);
    Job {
        metadata: scope.meta(
            &names::child(name, &format!("backup-{revision}")),
            "backup",
            name,
        ),
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            template,
            ..JobSpec::default()
        }),
        status: None,
    }
}
