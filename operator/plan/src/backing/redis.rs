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
    own_secret::OwnSecret,
    pods::{self, PLATFORM_UID, mount},
    readiness::{self, Part},
    storefront::{Data, Valid, secret},
};

const PORT: i32 = 6379;
/// By which workloads are bound to the cache.
const AUTH: OwnSecret = OwnSecret::generated(binding_secret(crds::Uses::Cache), "password");
const CONFIG: OwnSecret = OwnSecret::computed("redis-config");

const EMBEDDED: Embedded = Embedded {
    part: "redis",
    workload: Workload::Deployment,
    trial: &["/usr/bin/redis-server", "--version"],
    uid: PLATFORM_UID,
    volumes: |_| 0,
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
        const { &[AUTH, CONFIG] }
    }

    fn plan_credentials(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let data = valid.generated(&AUTH);
        let data = data.map(|password| binding(valid, password));
        secret::plan_generated(valid, objects, (&AUTH, "servicebinding.io/redis"), data);
    }

    fn plan_configuration(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let password = valid.generated(&AUTH);
        let data = password.map(|password| {
            let config = configuration(password);
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
        readiness::deployment(objects, (shop, EMBEDDED.part))
    }
}

fn binding(valid: &Valid, password: &str) -> Data {
    let host = valid.child(EMBEDDED.part);
    let uri = format!("redis://:{password}@{host}:{PORT}/0");
    secret::text([
        ("type", "redis"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "6379"),
        ("uri", uri.as_str()),
        ("password", password),
    ])
}

/// Memory is bounded, the least recently used entries go first, and nothing is written to disk.
fn configuration(password: &str) -> String {
    format!(
        "bind 0.0.0.0\nport {PORT}\nprotected-mode no\nrequirepass \"{password}\"\nmaxmemory 64mb\n\
         maxmemory-policy allkeys-lru\nsave \"\"\nappendonly no\ndir /tmp\ntcp-keepalive 60\n"
    )
}

fn deployment(valid: &Valid) -> Deployment {
    let text = configuration("");
    let config = Config {
        text: Some(&text),
        secret: valid.generated(&AUTH).unwrap_or_default(),
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
        resources: Some(pods::resources("25m", "24Mi", "128Mi")),
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
