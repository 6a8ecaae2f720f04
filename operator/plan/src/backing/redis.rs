//! Redis, run by the operator: one pod without a volume. It holds nothing that cannot be lost.

use crds::StorefrontSpec;
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
    core::v1::{Container, PodSpec},
};

use super::{
    embedded::{Embedded, Workload},
    policy,
    role::{Role, binding_secret},
    server::{Reference, Server},
    workload::{self, Config},
};
use crate::{
    Applied, Invalid, Objects, Planned,
    clients::Client,
    derive::{Login, derive},
    own_secret::OwnSecret,
    pods::{self, PLATFORM_UID, mount},
    readiness::{self, Part},
    resources::resources,
    storefront::{Data, Valid, secret},
};

const PORT: i32 = 6379;
/// What the logins of all workloads follow from. No pod mounts it.
pub(super) const LOGINS: OwnSecret = OwnSecret::generated("redis-logins", "key");
/// The login that every workload shared in earlier releases. It belongs to a Redis of the user now.
const SHARED: OwnSecret = OwnSecret::computed(binding_secret(crds::Uses::Cache));
const CONFIG: OwnSecret = OwnSecret::computed("redis-config");

const EMBEDDED: Embedded = Embedded {
    part: "redis",
    workload: Workload::Deployment,
    trial: &["/usr/bin/redis-server", "--version"],
    uid: PLATFORM_UID,
    volumes: |_| 0,
    storage: |_| None,
    own_settings: |spec| {
        let redis = spec.cache.redis.as_ref();
        (
            redis.and_then(|it| it.pods.as_deref()),
            redis.and_then(|it| it.resources.as_ref()),
        )
    },
};

/// Redis, run by the operator.
pub(super) struct Redis;

impl Server for Redis {
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
        const { &[LOGINS, CONFIG, SHARED] }
    }

    fn plan_credentials(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let data = valid.generated(&LOGINS);
        let data = data.map(|key| secret::text([("key", key)]));
        secret::plan_generated(valid, objects, (&LOGINS, secret::OPAQUE), data);
    }

    fn plan_configuration(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let key = valid.generated(&LOGINS);
        let data = key.map(|key| {
            let config = configuration(valid, key);
            secret::text([("redis.conf", config.as_str())])
        });
        secret::plan_computed(valid, objects, (&CONFIG, secret::OPAQUE), data);
    }

    fn plan_policies(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        policy::plan_embedded(valid, objects, (&EMBEDDED, Role::Cache, PORT), None);
    }

    fn plan_workload(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let ports = [("redis", PORT, "redis")];
        objects.apply(&workload::service(valid, &EMBEDDED, &ports));
        objects.apply(&deployment(valid));
    }

    fn readiness(
        &self,
        _: &StorefrontSpec,
        shop: &str,
        _: Option<&Valid>,
        objects: &Objects<Applied>,
    ) -> Part {
        readiness::deployment(objects, format!("{shop}-{}", EMBEDDED.part))
    }
}

/// The binding of a workload to the cache of the shop called `shop`.
pub(super) fn binding(shop: &str, client: &Client, key: &str) -> Data {
    let host = format!("{shop}-{}", EMBEDDED.part);
    let Login { user, password } = Login::of(key, EMBEDDED.part, &client.name);
    let uri = format!("redis://{user}:{password}@{host}:{PORT}/0");
    secret::text([
        ("type", "redis"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "6379"),
        ("uri", uri.as_str()),
        ("username", user.as_str()),
        ("password", password.as_str()),
        ("key-prefix", client.cache.as_deref().unwrap_or_default()),
    ])
}

/// On which addresses it listens; those of a family that the node does not have are left out.
const LISTENS: &str = "bind * -::*";
/// What a workload may do with its own keys, and what clients ask when they connect. Not what shows or changes
/// the keys of others, or the server.
const COMMANDS: &str = "-@all +@read +@write +@connection +@transaction +eval +evalsha +script|load \
                        -@admin -@dangerous -scan -randomkey -dbsize -swapdb +info";

/// Memory is bounded, the least recently used entries go first, and nothing is written to disk. Each workload
/// has a user of its own.
fn configuration(valid: &Valid, key: &str) -> String {
    let clients = valid.clients();
    let users = clients.iter().filter_map(|client| {
        let prefix = client.cache.as_ref()?;
        let Login { user, password } = Login::of(key, EMBEDDED.part, &client.name);
        Some(format!(
            "user {user} on >{password} resetchannels ~{prefix}* {COMMANDS}\n"
        ))
    });
    let users: String = users.collect();
    format!(
        "{LISTENS}\nport {PORT}\nprotected-mode no\nuser default off\n{users}maxmemory 64mb\n\
         maxmemory-policy allkeys-lru\nsave \"\"\nappendonly no\ndir /tmp\ntcp-keepalive 60\n"
    )
}

fn deployment(valid: &Valid) -> Deployment {
    // A digest of the whole file, so that the server restarts with its users' passwords too.
    let key = valid.generated(&LOGINS).unwrap_or_default();
    let text = derive(&configuration(valid, key), &["configuration"]);
    let config = Config {
        text: Some(&text),
        secret: key,
    };
    let selector = pods::selector(EMBEDDED.part, &valid.child(EMBEDDED.part));
    Deployment {
        metadata: workload::meta(valid, &EMBEDDED, &config),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            // Two caches at once would answer differently; services are built for a moment without one.
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".into()),
                rolling_update: None,
            }),
            selector: pods::label_selector(selector),
            template: workload::template(valid, &EMBEDDED, pod(valid), &config),
            revision_history_limit: Some(3),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn pod(valid: &Valid) -> PodSpec {
    let container = Container {
        args: Some(vec!["/etc/redis/redis.conf".into()]),
        resources: Some(resources("25m", "24Mi", "128Mi")),
        volume_mounts: Some(vec![
            mount("tmp", "/tmp", false),
            mount("config", "/etc/redis", true),
        ]),
        startup_probe: Some(workload::tcp_probe("redis", 1, 60)),
        readiness_probe: Some(workload::tcp_probe("redis", 5, 3)),
        liveness_probe: Some(workload::tcp_probe("redis", 10, 6)),
        ..workload::container(valid, &EMBEDDED, &[("redis", PORT)])
    };
    let volumes = vec![
        pods::secret_volume("config", &valid.child(CONFIG.part)),
        pods::scratch_volume("tmp", "16Mi", false),
    ];
    let security = pods::pod_security(Some(EMBEDDED.uid), EMBEDDED.uid);
    pods::pod(container, volumes, security, 10)
}
