//! NATS JetStream, run by the operator: one server with a volume, or three as a Raft cluster.

mod cluster;

use crds::StorefrontSpec;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, PodSpec, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};

use self::cluster::{ROUTES, is_cluster};
use super::{
    embedded::{Embedded, Workload},
    policy,
    role::{Role, binding_secret},
    server::{Reference, Server},
    workload::{self, Config},
};
use crate::{
    Applied, Invalid, Objects, Planned,
    own_secret::OwnSecret,
    pods::{self, PLATFORM_UID, mount},
    readiness::{self, Part},
    size::mebibytes,
    storefront::{Data, Valid, secret},
};

/// The one user of a shop's bus.
const USER: &str = "shop";
const PORT: i32 = 4222;
const MONITOR_PORT: i32 = 8222;
/// What the shop's stream reserves (1 GiB), with what JetStream needs around it.
const LEAST_STORAGE_MIB: u64 = 1_536;
/// By which workloads are bound to the bus.
const AUTH: OwnSecret = OwnSecret::generated(binding_secret(crds::Uses::Bus), "password");
const CONFIG: OwnSecret = OwnSecret::computed("nats-config");

const EMBEDDED: Embedded = Embedded {
    part: "nats",
    workload: Workload::StatefulSet,
    trial: &["/nats-server", "--version"],
    uid: PLATFORM_UID,
    volumes: |spec| spec.queue.nats.replicas,
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
        const { &[AUTH, ROUTES, CONFIG] }
    }

    fn plan_credentials(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let data = valid.generated(&AUTH);
        let data = data.map(|password| binding(valid, password));
        secret::plan_generated(valid, objects, (&AUTH, "servicebinding.io/nats"), data);
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
        let passwords = valid.generated(&AUTH).zip(routes);
        let data = passwords.map(|(shop, routes)| {
            let config = configuration(valid, shop, routes);
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
        let volume = workload::claim(&valid.storefront.spec.queue.nats.storage, None);
        let ports = [("nats", PORT, "nats"), ("monitor", MONITOR_PORT, "monitor")];
        objects.apply(&workload::service(valid, &EMBEDDED, &ports));
        let text = configuration(valid, "", "");
        let passwords = [&AUTH, &ROUTES].map(|secret| valid.generated(secret).unwrap_or_default());
        let config = Config {
            text: Some(&text),
            secret: &passwords.join(" "),
        };
        let template = workload::template(valid, &EMBEDDED, pod(valid), &config);
        let pair = (template, volume);
        let mut set = workload::stateful_set(valid, &EMBEDDED, &config, pair);
        if is_cluster(&valid.storefront.spec) {
            cluster::plan(valid, EMBEDDED.part, objects);
            cluster::extend(valid, EMBEDDED.part, &mut set);
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

fn binding(valid: &Valid, password: &str) -> Data {
    let host = valid.child(EMBEDDED.part);
    let uri = format!("nats://{host}:{PORT}");
    let mut data = secret::text([
        ("type", "nats"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "4222"),
        ("uri", uri.as_str()),
        ("username", USER),
        ("password", password),
    ]);
    // Only where it is another number than one: a Secret that changes restarts its users.
    if is_cluster(&valid.storefront.spec) {
        let replicas = cluster::servers(valid).to_string().into_bytes();
        data.insert("replicas".into(), replicas);
    }
    data
}

/// An acknowledged message is on disk, whatever happens to the power. `password` is the shop's, `routes`
/// that of the servers of a cluster.
fn configuration(valid: &Valid, password: &str, routes: &str) -> String {
    // A tenth stays free for the file system and for JetStream's own bookkeeping.
    let storage = &valid.storefront.spec.queue.nats.storage;
    let file_mib = mebibytes(storage).unwrap_or(0) / 10 * 9;
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
max_payload: 1MB
jetstream {{
  store_dir: "/data"
  sync_interval: always
  max_memory_store: 32MB
  max_file_store: {file_mib}MB
}}
authorization {{
  users: [ {{ user: "{USER}", password: "{password}" }} ]
}}
{cluster}"#
    )
}

fn pod(valid: &Valid) -> PodSpec {
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
    let ports = [("nats", PORT), ("monitor", MONITOR_PORT)];
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
        ..workload::container(valid, &EMBEDDED, &ports)
    };
    let volumes = vec![pods::secret_volume("config", &valid.child(CONFIG.part))];
    let security = pods::pod_security(Some(EMBEDDED.uid), EMBEDDED.uid);
    pods::pod(container, volumes, security, 30)
}
