//! PostgreSQL, run by the operator: one pod with a volume.

use crds::StorefrontSpec;
use k8s_openapi::api::core::v1::{Container, ExecAction, KeyToPath, PodSpec, Probe, Volume};

use super::{
    embedded::{Embedded, Workload},
    policy,
    role::Role,
    server::{Reference, Server},
    volume,
    workload::{self, Config},
};
use crate::{
    Applied, Invalid, Objects, Planned, network,
    own_secret::OwnSecret,
    pods::{self, mount},
    readiness::{self, Part},
    resources::resources,
    storefront::{Data, Valid, secret},
};

/// User of the image, and so of everything that runs its programs.
pub(crate) const UID: i64 = 26;
/// Login of the server's administrator.
pub(super) const ADMIN: OwnSecret = OwnSecret::generated("postgres-admin", "password");
const PORT: i32 = 5432;
/// Connections that the server takes.
pub(crate) const CONNECTIONS: i32 = 200;

/// Folder of the image's programs, or the path of one of them, as a literal.
macro_rules! programs {
    () => {
        "/usr/lib/postgresql/15/bin"
    };
    ($name:literal) => {
        concat!(programs!(), "/", $name)
    };
}

/// Folder of the image's programs.
pub(crate) const PROGRAMS: &str = programs!();
/// Folder of the image's pg_dump and pg_restore for servers that are newer than its own.
pub(crate) const NEWEST_CLIENTS: &str = "/usr/lib/postgresql/18/bin";
/// The first `server_version_num` that [`PROGRAMS`] cannot dump.
pub(crate) const NEWER: i32 = 160_000;
/// Name of the image.
pub(crate) const IMAGE: &str = "postgres";

const EMBEDDED: Embedded = Embedded {
    part: IMAGE,
    workload: Workload::StatefulSet,
    trial: &[programs!("postgres"), "--version"],
    uid: UID,
    volumes: |_| 1,
    storage: |spec| {
        let wanted = spec.database.embedded.as_ref()?;
        Some(wanted.storage.as_str())
    },
    own_settings: |spec| {
        let postgres = spec.database.embedded.as_ref();
        (
            postgres.and_then(|it| it.pods.as_deref()),
            postgres.and_then(|it| it.resources.as_ref()),
        )
    },
};

/// PostgreSQL, run by the operator.
pub(super) struct Postgres;

impl Server for Postgres {
    fn embedded(&self) -> Option<&'static Embedded> {
        Some(&EMBEDDED)
    }

    fn check(&self, _: &StorefrontSpec) -> Result<(), Invalid> {
        Ok(())
    }

    fn reference<'a>(&self, _: &'a StorefrontSpec) -> Option<Reference<'a>> {
        None
    }

    fn secrets(&self) -> &'static [OwnSecret] {
        const { &[ADMIN] }
    }

    fn plan_credentials(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let data = valid.generated(&ADMIN);
        let data = data.map(|password| login(valid, password));
        secret::plan_generated(
            valid,
            objects,
            (&ADMIN, "servicebinding.io/postgresql"),
            data,
        );
    }

    fn plan_configuration(&self, _: &Valid, _: &mut Objects<Planned>) {}

    fn plan_policies(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        // The operator administers the server; its namespace holds nothing but the platform.
        let operator = network::namespace(&valid.platform.operator_namespace);
        let server = (&EMBEDDED, Role::Database, PORT);
        policy::plan_embedded(valid, objects, server, Some(operator));
    }

    fn plan_workload(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let wanted = valid.storefront.spec.database.embedded.as_ref();
        let class = wanted.and_then(|wanted| wanted.storage_class_name.clone());
        let volume = volume::claim(valid, &EMBEDDED, class);
        let ports = [("postgres", PORT, "postgres")];
        objects.apply(&workload::service(valid, &EMBEDDED, &ports));
        let config = Config {
            text: None,
            secret: valid.generated(&ADMIN).unwrap_or_default(),
        };
        let template = workload::template(valid, &EMBEDDED, pod(valid), &config);
        let pair = (template, volume);
        objects.apply(&workload::stateful_set(valid, &EMBEDDED, &config, pair));
    }

    fn readiness(
        &self,
        _: &StorefrontSpec,
        shop: &str,
        _: Option<&Valid>,
        objects: &Objects<Applied>,
    ) -> Part {
        readiness::stateful_set(objects, (shop, EMBEDDED.part), |_, _| "")
    }
}

fn login(valid: &Valid, password: &str) -> Data {
    let name = valid.child(EMBEDDED.part);
    let host = format!("{name}.{}.svc", valid.scope.namespace);
    secret::text([
        ("type", "postgresql"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "5432"),
        ("username", "postgres"),
        ("password", password),
    ])
}

fn pod(valid: &Valid) -> PodSpec {
    let connections = format!("max_connections={CONNECTIONS}");
    let arguments = ["-c", &connections, "-c", "shared_buffers=64MB"];
    let container = Container {
        args: Some(arguments.map(Into::into).into()),
        env: Some(vec![
            pods::env("POSTGRES_PASSWORD_FILE", "/admin/password"),
            pods::env("PGDATA", "/var/lib/postgresql/data/pgdata"),
        ]),
        resources: Some(resources("100m", "128Mi", "512Mi")),
        volume_mounts: Some(vec![
            mount("data", "/var/lib/postgresql/data", false),
            mount("admin", "/admin", true),
            mount("tmp", "/tmp", false),
            mount("run", "/var/run/postgresql", false),
            mount("shm", "/dev/shm", false),
        ]),
        // The first start initialises the cluster and a start after a crash replays its log: neither
        // may be cut short.
        startup_probe: Some(workload::tcp_probe("postgres", 1, 600)),
        liveness_probe: Some(workload::tcp_probe("postgres", 10, 6)),
        readiness_probe: Some(accepts_connections()),
        ..workload::container(valid, &EMBEDDED, &[("postgres", PORT)])
    };
    let volumes = vec![
        password_volume(valid),
        pods::scratch_volume("tmp", "64Mi", false),
        pods::scratch_volume("run", "1Mi", false),
        pods::scratch_volume("shm", "64Mi", true),
    ];
    let security = pods::pod_security(Some(UID), UID);
    pods::pod(container, volumes, security, 60)
}

fn accepts_connections() -> Probe {
    let command = [
        programs!("pg_isready"),
        "-h",
        "127.0.0.1",
        "-p",
        "5432",
        "-q",
    ];
    Probe {
        exec: Some(ExecAction {
            command: Some(command.map(Into::into).into()),
        }),
        period_seconds: Some(2),
        timeout_seconds: Some(2),
        failure_threshold: Some(3),
        ..Probe::default()
    }
}

/// The administrator's password and nothing else of its Secret.
fn password_volume(valid: &Valid) -> Volume {
    let mut volume = pods::secret_volume("admin", &valid.child(ADMIN.part));
    if let Some(source) = volume.secret.as_mut() {
        source.items = Some(vec![KeyToPath {
            key: "password".into(),
            path: "password".into(),
            mode: None,
        }]);
    }
    volume
}
