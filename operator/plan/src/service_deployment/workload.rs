//! The container of a workload: environment, files, probes.

use std::collections::BTreeMap;

use crds::ServiceDeploymentSpec;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, HTTPGetAction, Lifecycle, LifecycleHandler, PodSpec,
        Probe, SleepAction, Volume, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use service_catalogue::Service;

use super::Valid;
use crate::{
    names,
    pods::{self, env, mount},
    resources::resources,
    settings::Settings,
    storefront::{SERVICE_PORT, issuer, url},
    tracing::Collector,
};

/// Seconds that a pod keeps serving before SIGTERM, while endpoints are updated everywhere.
const PRE_STOP_SECS: i64 = 5;
/// Seconds after that for requests in flight.
const DRAIN_SECS: i64 = 20;
/// Seconds until SIGKILL: both of the above, and a margin.
const GRACE_SECS: i64 = 45;
/// Name of the Service's and the container's HTTP port.
pub(super) const HTTP: &str = "http";
pub(super) const METRICS: &str = "metrics";
const BINDINGS: &str = "/bindings";
/// Annotation of pods with the databases that took the place of lost ones: what a process has done to the
/// one before, such as a migration or a first account, it has to do again.
const RECREATED_ANNOTATION: &str = "storefront.dev/recreated-databases";

/// Variables that tell of the shop as its visitors see it. No migration depends on them.
pub(super) const FACE: [&str; 4] = ["SHOP_CURRENCIES", "SHOP_NAME", "SHOP_URL", "TOKEN_ISSUER"];

/// What the spec sets for the pods of the workload and of its migration.
pub(super) fn settings(valid: &Valid) -> Settings {
    let spec = &valid.service.spec;
    Settings {
        pods: spec.pods.as_deref().cloned().unwrap_or_default(),
        resources: spec.resources.clone(),
        image_pull_secrets: spec.image_pull_secrets.clone(),
    }
}

/// Annotations of every pod of the workload.
pub(super) fn annotations(valid: &Valid) -> BTreeMap<String, String> {
    let numbers = valid.recreated.iter();
    let numbers: Vec<String> = numbers
        .map(|(folder, number)| format!("{folder}={number}"))
        .collect();
    let text = numbers.join(",");
    let annotation = (RECREATED_ANNOTATION.to_owned(), text);
    Some(annotation)
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// The pod of the Deployment.
pub(super) fn serving_pod(valid: &Valid) -> PodSpec {
    let spec = &valid.service.spec;
    let mut ports = vec![port(HTTP, spec.port)];
    ports.extend(spec.metrics_port.map(|number| port(METRICS, number)));
    let container = Container {
        args: (!spec.args.is_empty()).then(|| spec.args.clone()),
        ports: Some(ports),
        startup_probe: Some(probe(valid, Kind::Startup)),
        liveness_probe: Some(probe(valid, Kind::Liveness)),
        readiness_probe: Some(probe(valid, Kind::Readiness)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction {
                    seconds: PRE_STOP_SECS,
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        env: Some(environment(
            valid,
            Collector::of(&valid.storefront).as_ref(),
        )),
        ..container(valid, valid.app())
    };
    PodSpec {
        topology_spread_constraints: Some(pods::spread(
            &pods::label_selector(pods::selector(valid.app(), valid.name())),
            Some("pod-template-hash"),
        )),
        ..pod(valid, container, GRACE_SECS)
    }
}

/// The pod of the migration Job: the same image and files, other arguments.
pub(super) fn migrating_pod(valid: &Valid, args: &[String]) -> PodSpec {
    let container = Container {
        args: Some(args.to_vec()),
        ..container(valid, "migrate")
    };
    pod(valid, container, 30)
}

fn pod(valid: &Valid, container: Container, grace_secs: i64) -> PodSpec {
    let security = pods::pod_security(None, pods::PLATFORM_UID);
    PodSpec {
        service_account_name: Some(valid.name().to_owned()),
        ..pods::pod(container, volumes(valid), security, grace_secs)
    }
}

fn container(valid: &Valid, name: &str) -> Container {
    let spec = &valid.service.spec;
    let pull = spec.image_pull_policy.map(|p| p.as_str().to_owned());
    Container {
        name: name.to_owned(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(pull.unwrap_or_else(|| valid.platform.pull_policy.clone())),
        command: (!spec.command.is_empty()).then(|| spec.command.clone()),
        env: Some(environment(valid, None)),
        resources: Some(resources("25m", "48Mi", "256Mi")),
        security_context: Some(pods::container_security()),
        volume_mounts: Some(mounts(valid)),
        ..Container::default()
    }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// The environment of every workload; the user's own variables take precedence.
fn environment(valid: &Valid, collector: Option<&Collector>) -> Vec<EnvVar> {
    let spec = &valid.service.spec;
    let shop = valid.shop();
    let at = |service: Service| format!("http://{shop}-{service}:{SERVICE_PORT}");
    let storefront = &valid.storefront.spec;
    let title = storefront.display_name.as_deref().unwrap_or(shop);
    let mut vars: BTreeMap<String, String> = BTreeMap::from(
        [
            ("LISTEN", format!("0.0.0.0:{}", spec.port)),
            ("PORT", spec.port.to_string()),
            ("SERVICE_BINDING_ROOT", BINDINGS.to_owned()),
            ("TOKEN_ISSUER", issuer(&valid.storefront)),
            ("TOKEN_AUDIENCE", shop.to_owned()),
            (
                "JWKS_URL",
                format!("{}/.well-known/jwks.json", at(Service::Auth)),
            ),
            ("SHOP_NAME", title.to_owned()),
            ("SHOP_CURRENCIES", storefront.currencies.join(",")),
            ("SHOP_URL", url(&valid.storefront)),
            ("LOG", "info".to_owned()),
            ("DRAIN_SECS", DRAIN_SECS.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if let Some(number) = spec.metrics_port {
        vars.insert("ADMIN_LISTEN".into(), format!("0.0.0.0:{number}"));
    }
    for peer in Service::ALL.into_iter().filter(|peer| peer.has_api()) {
        vars.insert(format!("{}_URL", peer.name().to_uppercase()), at(peer));
    }
    for callee in &spec.calls {
        let app = callee
            .strip_prefix(shop)
            .and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or(callee);
        let key = format!("{}_URL", app.to_uppercase().replace('-', "_"));
        vars.insert(key, format!("http://{callee}:{SERVICE_PORT}"));
    }
    let spans = collector.map(|to| to.environment(valid.name(), &valid.scope.namespace));
    let own = spec.env.iter().map(|var| env(&var.name, &*var.value));
    let all = vars.into_iter().map(|(key, value)| env(&key, value));
    let all = all.chain(spans.into_iter().flatten()).chain(own);
    let all: BTreeMap<String, EnvVar> = all.map(|var| (var.name.clone(), var)).collect();
    all.into_values().collect()
}

fn volumes(valid: &Valid) -> Vec<Volume> {
    let secrets = valid
        .mounts
        .iter()
        .map(|(folder, secret)| pods::secret_volume(&volume_name(folder), secret));
    secrets
        .chain([pods::scratch_volume("tmp", "64Mi", false)])
        .collect()
}

fn mounts(valid: &Valid) -> Vec<VolumeMount> {
    let secrets = valid
        .mounts
        .keys()
        .map(|folder| mount(&volume_name(folder), &format!("{BINDINGS}/{folder}"), true));
    secrets.chain([mount("tmp", "/tmp", false)]).collect()
}

fn volume_name(folder: &str) -> String {
    names::child("binding", folder)
}

/// Which probe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

/// Port and path of a probe; without a path an open port is enough.
pub(super) fn endpoint(spec: &ServiceDeploymentSpec, kind: Kind) -> (i32, Option<String>) {
    let wanted = spec.probes.clone().unwrap_or_default();
    let number = wanted.port.or(spec.metrics_port).unwrap_or(spec.port);
    let known = is_known(spec);
    let path = match kind {
        Kind::Startup | Kind::Liveness => wanted.liveness_path.or(known.then(|| "/healthz".into())),
        Kind::Readiness => wanted.readiness_path.or(known.then(|| "/readyz".into())),
    };
    (number, path)
}

/// Whether the process is a built-in one, which alone is known to serve the platform's paths. It is
/// recognised by its metrics port.
pub(super) fn is_known(spec: &ServiceDeploymentSpec) -> bool {
    spec.metrics_port.is_some() && spec.probes.is_none()
}

fn probe(valid: &Valid, kind: Kind) -> Probe {
    let spec = &valid.service.spec;
    let (number, path) = endpoint(spec, kind);
    let (period, failures) = match kind {
        Kind::Startup => (1, 120),
        Kind::Liveness => (10, 3),
        Kind::Readiness => (2, 2),
    };
    let port = IntOrString::Int(number);
    let mut probe = Probe {
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    };
    match path {
        Some(path) => {
            probe.http_get = Some(HTTPGetAction {
                path: Some(path),
                port,
                ..HTTPGetAction::default()
            });
        }
        None => {
            probe.tcp_socket =
                Some(k8s_openapi::api::core::v1::TCPSocketAction { host: None, port });
        }
    }
    probe
}
