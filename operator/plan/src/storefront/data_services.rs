//! The parts that the operator runs for a shop: PostgreSQL, NATS and Redis. One pod each; of NATS three
//! where the shop asks for a cluster.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{
            Deployment, DeploymentSpec, DeploymentStrategy, StatefulSet,
            StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
        },
        core::v1::{
            Container, ContainerPort, ExecAction, HTTPGetAction, PersistentVolumeClaim,
            PersistentVolumeClaimSpec, PodSpec, PodTemplateSpec, Probe, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString,
    },
};

use super::{Valid, bus_cluster, proof, validate::mebibytes};
use crate::{
    Objects, Planned, hash,
    pods::{self, PLATFORM_UID, mount},
};

/// The one user on a shop's bus.
pub(super) const BUS_USER: &str = "shop";
/// User of the PostgreSQL image.
pub(super) const POSTGRES_UID: i64 = 26;
/// Annotation that restarts a pod when its configuration changes.
const CONFIG_ANNOTATION: &str = "storefront.dev/config-hash";

/// Plans the servers that the shop needs.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    proof::plan(valid, objects);
    if let Some(embedded) = &valid.storefront.spec.database.embedded {
        let volume = claim(
            "data",
            &embedded.storage,
            embedded.storage_class_name.clone(),
        );
        objects.apply(&service(
            valid,
            "postgres",
            &[("postgres", 5432, "postgres")],
        ));
        objects.apply(&stateful_set(
            valid,
            "postgres",
            postgres_pod(valid),
            volume,
        ));
    }
    let volume = claim("data", &valid.storefront.spec.queue.nats.storage, None);
    let ports = [("nats", 4222, "nats"), ("monitor", 8222, "monitor")];
    objects.apply(&service(valid, "nats", &ports));
    let mut bus = stateful_set(valid, "nats", nats_pod(valid), volume);
    if valid.bus_is_cluster() {
        bus_cluster::plan(valid, objects);
        bus_cluster::grow(valid, &mut bus);
    }
    objects.apply(&bus);
    if valid.external_cache().is_none() {
        objects.apply(&service(valid, "redis", &[("redis", 6379, "redis")]));
        objects.apply(&redis(valid));
    }
}

/// The configuration of the bus: an acknowledged message is on disk, whatever happens to the power.
/// `password` is the shop's, `among` that of the servers where there are several.
pub(super) fn nats_config(valid: &Valid, password: &str, among: &str) -> String {
    // A tenth stays free for the file system and for JetStream's own bookkeeping.
    let storage = &valid.storefront.spec.queue.nats.storage;
    let file_mib = mebibytes(storage).unwrap_or(0) / 10 * 9;
    let (name, cluster) = if valid.bus_is_cluster() {
        ("$POD_NAME".to_owned(), bus_cluster::config(valid, among))
    } else {
        (format!("\"{}\"", valid.child("nats")), String::new())
    };
    format!(
        r#"server_name: {name}
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 1MB
jetstream {{
  store_dir: "/data"
  sync_interval: always
  max_memory_store: 32MB
  max_file_store: {file_mib}MB
}}
authorization {{
  users: [ {{ user: "{BUS_USER}", password: "{password}" }} ]
}}
{cluster}"#
    )
}

/// The configuration of the cache: bounded, forgetful, nothing on disk.
pub(super) fn redis_config(password: &str) -> String {
    format!(
        "bind 0.0.0.0\nport 6379\nprotected-mode no\nrequirepass \"{password}\"\nmaxmemory 64mb\n\
         maxmemory-policy allkeys-lru\nsave \"\"\nappendonly no\ndir /tmp\ntcp-keepalive 60\n"
    )
}

fn meta(valid: &Valid, part: &str) -> ObjectMeta {
    let name = valid.child(part);
    valid.scope.meta(&name, part, &name)
}

/// Metadata of what runs a server's pod: says which image is known to start.
fn server_meta(valid: &Valid, part: &str) -> ObjectMeta {
    let proven = (
        proof::PROVEN_ANNOTATION.to_owned(),
        proof::image(valid, part),
    );
    ObjectMeta {
        annotations: Some(BTreeMap::from([proven])),
        ..meta(valid, part)
    }
}

fn service(
    valid: &Valid,
    part: &str,
    ports: &[(&str, i32, &str)],
) -> k8s_openapi::api::core::v1::Service {
    let selector = pods::selector(part, &valid.child(part));
    pods::service(meta(valid, part), selector, ports)
}

fn template(valid: &Valid, part: &str, pod: PodSpec, config: &str) -> PodTemplateSpec {
    let labels = valid.scope.pod_labels(part, &valid.child(part));
    let annotations = if config.is_empty() {
        BTreeMap::new()
    } else {
        let tag = hash::short([config.as_bytes()]);
        BTreeMap::from([(CONFIG_ANNOTATION.to_owned(), tag)])
    };
    pods::template(labels, annotations, pod)
}

fn stateful_set(
    valid: &Valid,
    part: &str,
    (pod, config): (PodSpec, String),
    volume: PersistentVolumeClaim,
) -> StatefulSet {
    let when_deleted = if valid.retains() { "Retain" } else { "Delete" };
    StatefulSet {
        metadata: server_meta(valid, part),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(valid.child(part)),
            // One pod has no order to keep, and an ordered set would wait for ever for a pod whose
            // template was wrong, although the template has been put right since.
            pod_management_policy: Some("Parallel".to_owned()),
            selector: pods::label_selector(pods::selector(part, &valid.child(part))),
            template: template(valid, part, pod, &config),
            volume_claim_templates: Some(vec![volume]),
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(when_deleted.to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                },
            ),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn claim(name: &str, storage: &str, class: Option<String>) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: class,
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(storage.to_owned()),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

fn container(valid: &Valid, part: &str, ports: &[(&str, i32)]) -> Container {
    Container {
        name: part.to_owned(),
        image: Some(proof::image(valid, part)),
        image_pull_policy: Some(valid.platform.pull_policy.clone()),
        security_context: Some(pods::container_security()),
        ports: Some(
            ports
                .iter()
                .map(|(name, port)| ContainerPort {
                    name: Some((*name).to_owned()),
                    container_port: *port,
                    protocol: Some("TCP".into()),
                    ..ContainerPort::default()
                })
                .collect(),
        ),
        ..Container::default()
    }
}

fn tcp_probe(port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        tcp_socket: Some(pods::tcp(port)),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn postgres_pod(valid: &Valid) -> (PodSpec, String) {
    let ready = [
        "/usr/lib/postgresql/15/bin/pg_isready",
        "-h",
        "127.0.0.1",
        "-p",
        "5432",
        "-q",
    ];
    let container = Container {
        args: Some(
            ["-c", "max_connections=200", "-c", "shared_buffers=64MB"]
                .map(Into::into)
                .into(),
        ),
        env: Some(vec![
            pods::env("POSTGRES_PASSWORD_FILE", "/admin/password"),
            pods::env("PGDATA", "/var/lib/postgresql/data/pgdata"),
        ]),
        resources: Some(pods::resources("100m", "128Mi", "512Mi")),
        volume_mounts: Some(vec![
            mount("data", "/var/lib/postgresql/data", false),
            mount("admin", "/admin", true),
            mount("tmp", "/tmp", false),
            mount("run", "/var/run/postgresql", false),
            mount("shm", "/dev/shm", false),
        ]),
        // The first start makes the cluster, and a start after a crash replays its log: neither may be cut short.
        startup_probe: Some(tcp_probe("postgres", 1, 600)),
        liveness_probe: Some(tcp_probe("postgres", 10, 6)),
        readiness_probe: Some(Probe {
            exec: Some(ExecAction {
                command: Some(ready.map(Into::into).into()),
            }),
            period_seconds: Some(2),
            timeout_seconds: Some(2),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        ..container(valid, "postgres", &[("postgres", 5432)])
    };
    let mut admin = pods::secret_volume("admin", &valid.child("postgres-admin"));
    if let Some(source) = admin.secret.as_mut() {
        source.items = Some(vec![k8s_openapi::api::core::v1::KeyToPath {
            key: "password".into(),
            path: "password".into(),
            mode: None,
        }]);
    }
    let volumes = vec![
        admin,
        pods::scratch_volume("tmp", "64Mi", false),
        pods::scratch_volume("run", "1Mi", false),
        pods::scratch_volume("shm", "64Mi", true),
    ];
    let security = pods::pod_security(Some(POSTGRES_UID), POSTGRES_UID);
    (pods::pod(container, volumes, security, 60), String::new())
}

fn nats_pod(valid: &Valid) -> (PodSpec, String) {
    let health = |path: &str, period, failures| {
        Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.to_owned()),
                port: IntOrString::String("monitor".into()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(period),
            failure_threshold: Some(failures),
            ..Probe::default()
        })
    };
    let container = Container {
        args: Some(vec!["-c".into(), "/etc/nats/nats.conf".into()]),
        resources: Some(pods::resources("50m", "48Mi", "256Mi")),
        volume_mounts: Some(vec![
            mount("data", "/data", false),
            mount("config", "/etc/nats", true),
        ]),
        startup_probe: health("/healthz", 1, 300),
        readiness_probe: health("/healthz?js-enabled-only=true", 5, 3),
        liveness_probe: health("/healthz?js-server-only=true", 10, 6),
        ..container(valid, "nats", &[("nats", 4222), ("monitor", 8222)])
    };
    let volumes = vec![pods::secret_volume("config", &valid.child("nats-config"))];
    let security = pods::pod_security(Some(PLATFORM_UID), PLATFORM_UID);
    // The passwords themselves are not hashed: they never change by our hand.
    let config = nats_config(valid, "", "");
    (pods::pod(container, volumes, security, 30), config)
}

fn redis(valid: &Valid) -> Deployment {
    let container = Container {
        args: Some(vec!["/etc/redis/redis.conf".into()]),
        resources: Some(pods::resources("25m", "24Mi", "128Mi")),
        volume_mounts: Some(vec![
            mount("tmp", "/tmp", false),
            mount("config", "/etc/redis", true),
        ]),
        startup_probe: Some(tcp_probe("redis", 1, 60)),
        readiness_probe: Some(tcp_probe("redis", 5, 3)),
        liveness_probe: Some(tcp_probe("redis", 10, 6)),
        ..container(valid, "redis", &[("redis", 6379)])
    };
    let volumes = vec![
        pods::secret_volume("config", &valid.child("redis-config")),
        pods::scratch_volume("tmp", "16Mi", false),
    ];
    let security = pods::pod_security(Some(PLATFORM_UID), PLATFORM_UID);
    let pod = pods::pod(container, volumes, security, 10);
    Deployment {
        metadata: server_meta(valid, "redis"),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            // Two caches at once would answer differently; a moment without one is what services are built for.
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".into()),
                rolling_update: None,
            }),
            selector: pods::label_selector(pods::selector("redis", &valid.child("redis"))),
            template: template(valid, "redis", pod, &redis_config("")),
            revision_history_limit: Some(3),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
