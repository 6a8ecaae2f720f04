//! NATS JetStream, run by the operator: one server with a volume, or three as a Raft cluster.

mod cluster;
mod users;

use crds::StorefrontSpec;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, PodSpec, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};

use self::cluster::{ROUTES, is_cluster};
use super::{
    embedded::{Embedded, Workload},
    policy,
    role::Role,
    server::{Reference, Server},
    volume,
    workload::{self, Config},
};
use crate::{
    Applied, Invalid, Objects, Planned,
    clients::{Client, inbox},
    derive::{Login, derive},
    own_secret::OwnSecret,
    pods::{self, PLATFORM_UID, mount},
    readiness::{self, Part},
    resources::resources,
    size::mebibytes,
    storefront::{Data, Valid, secret},
};

const PORT: i32 = 4222;
const MONITOR_PORT: i32 = 8222;
/// What the shop's stream reserves (1 GiB), with what JetStream needs around it.
const LEAST_STORAGE_MIB: u64 = 1_536;
/// What the logins of all workloads follow from. No pod mounts it.
pub(super) const LOGINS: OwnSecret = OwnSecret::generated("nats-logins", "key");
/// The login that every workload shared in earlier releases.
const SHARED: OwnSecret = OwnSecret::computed("nats-auth");
const CONFIG: OwnSecret = OwnSecret::computed("nats-config");

const EMBEDDED: Embedded = Embedded {
    part: "nats",
    workload: Workload::StatefulSet,
    trial: &["/nats-server", "--version"],
    uid: PLATFORM_UID,
    volumes: |spec| spec.queue.nats.replicas,
    storage: |spec| Some(spec.queue.nats.storage.as_str()),
    own_settings: |spec| {
        let nats = &spec.queue.nats;
        (nats.pods.as_deref(), nats.resources.as_ref())
    },
};

/// NATS JetStream, run by the operator.
pub(super) struct Nats;

impl Server for Nats {
    fn embedded(&self) -> Option<&'static Embedded> {
        Some(&EMBEDDED)
    }

    fn check(&self, spec: &StorefrontSpec) -> Result<(), Invalid> {
        let storage = &spec.queue.nats.storage;
        if mebibytes(storage).unwrap_or(0) >= LEAST_STORAGE_MIB {
            return Ok(());
        }
        Err(Invalid::new(
            "QueueStorageTooSmall",
            format!(
                "spec.queue.nats.storage: {storage} is too small, because the shop's stream reserves 1Gi; create a Storefront with {LEAST_STORAGE_MIB}Mi or more"
            ),
        ))
    }

    fn reference<'a>(&self, _: &'a StorefrontSpec) -> Option<Reference<'a>> {
        None
    }

    fn secrets(&self) -> &'static [OwnSecret] {
        const { &[LOGINS, ROUTES, CONFIG, SHARED] }
    }

    fn plan_credentials(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let data = valid.generated(&LOGINS);
        let data = data.map(|key| secret::text([("key", key)]));
        secret::plan_generated(valid, objects, (&LOGINS, secret::OPAQUE), data);
        if is_cluster(&valid.storefront.spec) {
            let data = valid.generated(&ROUTES);
            let data = data.map(|password| secret::text([("password", password)]));
            secret::plan_generated(valid, objects, (&ROUTES, secret::OPAQUE), data);
        }
    }

    fn plan_configuration(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let routes = if is_cluster(&valid.storefront.spec) {
            valid.generated(&ROUTES)
        } else {
            Some("")
        };
        let secrets = valid.generated(&LOGINS).zip(routes);
        let data = secrets.map(|(key, routes)| {
            let config = configuration(valid, Some(key), routes);
            secret::text([("nats.conf", config.as_str())])
        });
        secret::plan_computed(valid, objects, (&CONFIG, secret::OPAQUE), data);
    }

    fn plan_policies(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        if is_cluster(&valid.storefront.spec) {
            objects.apply(&cluster::policy(valid, EMBEDDED.part));
        }
        let server = (&EMBEDDED, Role::Bus, PORT);
        policy::plan_embedded(valid, objects, server, None);
    }

    fn plan_workload(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let class = valid.storefront.spec.queue.nats.storage_class_name.clone();
        let volume = volume::claim(valid, &EMBEDDED, class);
        let ports = [("nats", PORT, "nats")];
        objects.apply(&workload::service(valid, &EMBEDDED, &ports));
        // A digest of the whole file, so that the server restarts with its users' passwords too.
        let text = configuration(valid, valid.generated(&LOGINS), "");
        let text = derive(&text, &["configuration"]);
        let secrets = [&LOGINS, &ROUTES].map(|secret| valid.generated(secret).unwrap_or_default());
        let config = Config {
            text: Some(&text),
            secret: &secrets.join(" "),
        };
        let mut pod = pod(valid);
        if is_cluster(&valid.storefront.spec) {
            cluster::extend_pod(valid, EMBEDDED.part, &mut pod);
        }
        let template = workload::template(valid, &EMBEDDED, pod, &config);
        let pair = (template, volume);
        let mut set = workload::stateful_set(valid, &EMBEDDED, &config, pair);
        if is_cluster(&valid.storefront.spec) {
            cluster::plan(valid, EMBEDDED.part, objects);
            cluster::extend(valid, &mut set);
        }
        objects.apply(&set);
    }

    fn readiness(
        &self,
        _: &StorefrontSpec,
        shop: &str,
        _: Option<&Valid>,
        objects: &Objects<Applied>,
    ) -> Part {
        readiness::stateful_set(objects, (shop, EMBEDDED.part), cluster::majority)
    }
}

/// The binding of a workload to the bus of the shop called `shop`.
pub(super) fn binding(spec: &StorefrontSpec, shop: &str, client: &Client, key: &str) -> Data {
    let host = format!("{shop}-{}", EMBEDDED.part);
    let uri = format!("nats://{host}:{PORT}");
    let login = Login::of(key, EMBEDDED.part, &client.name);
    let mut data = secret::text([
        ("type", "nats"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "4222"),
        ("uri", uri.as_str()),
        ("username", login.user.as_str()),
        ("password", login.password.as_str()),
        ("inbox-prefix", inbox(&client.name).as_str()),
    ]);
    // Only where it is another number than one: a Secret that changes restarts its users.
    if is_cluster(spec) {
        let replicas = spec.queue.nats.replicas.to_string().into_bytes();
        data.insert("replicas".into(), replicas);
    }
    data
}

/// An acknowledged message is on disk, whatever happens to the power. The logins follow from `key`; `routes`
/// is the password of the servers of a cluster.
fn configuration(valid: &Valid, key: Option<&str>, routes: &str) -> String {
    let users = key.map_or_else(String::new, |key| {
        users::configuration(valid, EMBEDDED.part, key)
    });
    let path = monitor_path(key);
    // A tenth stays free for the file system and for JetStream's own bookkeeping. A size that the volumes have not been
    // given yet is nothing to count on.
    let storage = volume::known(valid, &EMBEDDED);
    let file_mib = mebibytes(&storage).unwrap_or(0) / 10 * 9;
    let (name, cluster) = if is_cluster(&valid.storefront.spec) {
        let cluster = cluster::configuration(valid, EMBEDDED.part, routes);
        ("$POD_NAME".to_owned(), cluster)
    } else {
        (format!("\"{}\"", valid.child(EMBEDDED.part)), String::new())
    };
    format!(
        r#"server_name: {name}
listen: "0.0.0.0:{PORT}"
http: "0.0.0.0:{MONITOR_PORT}"
http_base_path: "{path}"
max_payload: 1MB
jetstream {{
  store_dir: "/data"
  sync_interval: always
  max_memory_store: 32MB
  max_file_store: {file_mib}MB
}}
authorization {{
  users: [
{users}  ]
}}
{cluster}"#
    )
}

/// The monitoring port shows accounts and connections to whoever asks, and the kubelet has to ask it for the
/// server's health: all of it is below a path that only the pod's own specification and the file name.
fn monitor_path(key: Option<&str>) -> String {
    format!("/{}", derive(key.unwrap_or_default(), &["monitor"]))
}

fn pod(valid: &Valid) -> PodSpec {
    let base = monitor_path(valid.generated(&LOGINS));
    let health = |path: &str, period, failures| {
        Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some(format!("{base}{path}")),
                port: IntOrString::String("monitor".into()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(period),
            failure_threshold: Some(failures),
            ..Probe::default()
        })
    };
    let ports = [("nats", PORT), ("monitor", MONITOR_PORT)];
    let container = Container {
        args: Some(vec!["-c".into(), "/etc/nats/nats.conf".into()]),
        resources: Some(resources("50m", "48Mi", "256Mi")),
        volume_mounts: Some(vec![
            mount("data", "/data", false),
            mount("config", "/etc/nats", true),
        ]),
        startup_probe: health("/healthz", 1, 300),
        readiness_probe: health("/healthz?js-enabled-only=true", 5, 3),
        liveness_probe: health("/healthz?js-server-only=true", 10, 6),
        ..workload::container(valid, &EMBEDDED, &ports)
    };
    let volumes = vec![pods::secret_volume("config", &valid.child(CONFIG.part))];
    let security = pods::pod_security(Some(EMBEDDED.uid), EMBEDDED.uid);
    pods::pod(container, volumes, security, 30)
}
