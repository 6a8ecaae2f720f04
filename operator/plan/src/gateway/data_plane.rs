use std::collections::BTreeMap;

use crds::GatewayService;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, ContainerPort, HTTPGetAction, Lifecycle, LifecycleHandler, PodSpec, Probe,
            Service, ServiceAccount, SleepAction,
        },
        networking::v1::NetworkPolicy,
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{APP, Valid};
use crate::{
    Mode, Objects, Planned,
    network::{self, Flows, allow_from, allow_to},
    pods::{self, PLATFORM_UID, env},
    resources::resources,
    scaling,
    service_deployment::GATEWAY_LABEL,
    storefront::METRICS_PORT,
    tracing::Collector,
};

/// On pods that were started anew because their ServiceAccount was: when that was made.
const ACCOUNT_SINCE: &str = "storefront.dev/service-account-since";

/// The workload of a Gateway: its access rights first, then its pods.
pub fn desired(valid: &Valid) -> Objects<Planned> {
    let mut objects = Objects::new();
    objects.apply(&ServiceAccount {
        metadata: meta(valid),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    });
    objects.apply(&role(valid));
    objects.apply(&role_binding(valid));
    objects.apply(&network_policy(valid));
    objects.apply(&service(valid));
    // Two autoscalers of one workload both stop: that of the user is respected, and ours gives way.
    let scaler = scaling::autoscaler(meta(valid), &valid.name(), &valid.replicas);
    let scaler = scaler.filter(|_| !valid.is_scaled);
    let is_scaled = valid.is_scaled || scaler.is_some();
    let mode = if is_scaled {
        Mode::ApplyScaled {
            at_least: valid.replicas.min,
        }
    } else {
        Mode::Apply
    };
    objects.push(mode, &deployment(valid, is_scaled));
    if let Some(scaler) = &scaler {
        objects.apply(scaler);
    }
    objects.apply(&scaling::disruption_budget(meta(valid), selector(valid)));
    objects
}

pub(super) fn meta(valid: &Valid) -> ObjectMeta {
    let mut meta = valid.scope.meta(&valid.name(), APP, valid.gateway());
    if let Some(labels) = meta.labels.as_mut() {
        labels.extend(valid.labels.clone());
        labels.insert(
            GATEWAY_LABEL.into(),
            crate::names::label_value(valid.gateway()),
        );
    }
    meta.annotations = (!valid.annotations.is_empty()).then(|| valid.annotations.clone());
    meta
}

fn selector(valid: &Valid) -> BTreeMap<String, String> {
    pods::selector(APP, valid.gateway())
}

fn role(valid: &Valid) -> Role {
    let rule = |group: &str, resources: &[&str], names: Option<Vec<String>>| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources.iter().map(|r| (*r).to_owned()).collect()),
        resource_names: names,
        verbs: ["get", "list", "watch"].map(Into::into).into(),
        non_resource_urls: None,
    };
    // What is granted has to be the operator's own right.
    let tls_policies = PolicyRule {
        verbs: ["list", "watch"].map(Into::into).into(),
        ..rule("gateway.networking.k8s.io", &["backendtlspolicies"], None)
    };
    let mut rules = vec![
        rule(
            "gateway.networking.k8s.io",
            &["gateways", "httproutes"],
            None,
        ),
        tls_policies,
        rule(
            "storefront.dev",
            &["jwtpolicies", "ratelimitpolicies"],
            None,
        ),
        rule("", &["services"], None),
        rule("discovery.k8s.io", &["endpointslices"], None),
    ];
    if !valid.tls_secrets.is_empty() {
        let names = valid.tls_secrets.iter().cloned().collect();
        rules.push(rule("", &["secrets"], Some(names)));
    }
    Role {
        metadata: meta(valid),
        rules: Some(rules),
    }
}

fn role_binding(valid: &Valid) -> RoleBinding {
    RoleBinding {
        metadata: meta(valid),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "Role".into(),
            name: valid.name(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: valid.name(),
            namespace: Some(valid.scope.namespace.clone()),
            api_group: None,
        }]),
    }
}

/// Ingress: clients, Prometheus, and the operator, which asks for what only the data plane knows. Egress: DNS, the API server, the backends of routes in this namespace,
/// and the collector of spans.
fn network_policy(valid: &Valid) -> NetworkPolicy {
    let ports: Vec<i32> = valid.ports.values().copied().collect();
    let known = [
        network::dns(),
        allow_to(Vec::new(), network::tcp(&[443, 6443])),
        allow_to(vec![network::neighbours()], Vec::new()),
    ];
    let spans = valid.collector.as_ref().map(Collector::egress);
    let operator = network::namespace(&valid.operator_namespace);
    let flows = Flows {
        ingress: Some(vec![
            allow_from(Vec::new(), network::tcp(&ports)),
            allow_from(vec![network::prometheus()], network::tcp(&[METRICS_PORT])),
            allow_from(vec![operator], network::tcp(&[METRICS_PORT])),
        ]),
        egress: Some(known.into_iter().chain(spans).collect()),
    };
    network::policy(meta(valid), pods::label_selector(selector(valid)), flows)
}

fn service(valid: &Valid) -> Service {
    let names: Vec<String> = valid.ports.keys().map(|port| port_name(*port)).collect();
    let ports: Vec<(&str, i32, &str)> = valid
        .ports
        .keys()
        .zip(&names)
        .map(|(port, name)| (name.as_str(), *port, name.as_str()))
        .collect();
    let mut service = pods::service(meta(valid), selector(valid), &ports);
    if let Some(wanted) = &valid.service {
        expose(wanted, &mut service);
    }
    service
}

/// Makes the Service reachable as the user says.
fn expose(wanted: &GatewayService, service: &mut Service) {
    for (key, value) in &wanted.annotations {
        let annotations = service.metadata.annotations.get_or_insert_default();
        let entry = annotations.entry(key.clone());
        entry.or_insert_with(|| value.clone());
    }
    if let Some(spec) = service.spec.as_mut() {
        spec.type_ = Some(wanted.type_.as_str().to_owned());
        spec.load_balancer_class
            .clone_from(&wanted.load_balancer_class);
        spec.external_traffic_policy = wanted
            .external_traffic_policy
            .map(|policy| policy.as_str().to_owned());
    }
}

fn port_name(port: i32) -> String {
    format!("port-{port}")
}

fn deployment(valid: &Valid, is_scaled: bool) -> Deployment {
    let mut labels = valid.labels.clone();
    labels.extend(
        valid
            .scope
            .pod_labels(APP, &crate::names::label_value(valid.gateway())),
    );
    labels.insert(
        GATEWAY_LABEL.into(),
        crate::names::label_value(valid.gateway()),
    );
    let mut annotations = valid.annotations.clone();
    let since = valid.account_since.map(|since| since.to_string());
    annotations.extend(since.map(|since| (ACCOUNT_SINCE.to_owned(), since)));
    Deployment {
        metadata: meta(valid),
        spec: Some(DeploymentSpec {
            // An autoscaler owns the number; writing it here would fight it.
            replicas: (!is_scaled).then_some(valid.replicas.min),
            selector: pods::label_selector(selector(valid)),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            revision_history_limit: Some(3),
            progress_deadline_seconds: Some(300),
            template: pods::template(labels, annotations, pod(valid), &valid.settings),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn pod(valid: &Valid) -> PodSpec {
    let probe = |path: &str, period, failures| {
        Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.to_owned()),
                port: IntOrString::Int(METRICS_PORT),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(period),
            failure_threshold: Some(failures),
            timeout_seconds: Some(2),
            ..Probe::default()
        })
    };
    let port = |name: String, number| ContainerPort {
        name: Some(name),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    };
    let listeners = valid
        .ports
        .iter()
        .map(|(outside, inside)| port(port_name(*outside), *inside));
    let mut env = vec![
        env("DRAIN_SECS", "20"),
        env("GATEWAY_NAME", valid.gateway()),
        env("GATEWAY_NAMESPACE", &valid.scope.namespace),
        env("LOG", "info"),
    ];
    if let Some(collector) = &valid.collector {
        env.extend(collector.environment(&valid.name(), &valid.scope.namespace));
    }
    let container = Container {
        name: APP.to_owned(),
        image: Some(valid.image.clone()),
        image_pull_policy: Some(valid.pull_policy.clone()),
        args: Some(vec!["serve".into()]),
        env: Some(env),
        ports: Some(
            listeners
                .chain([port("metrics".into(), METRICS_PORT)])
                .collect(),
        ),
        resources: Some(resources("100m", "48Mi", "256Mi")),
        security_context: Some(pods::container_security()),
        startup_probe: probe("/healthz", 1, 60),
        liveness_probe: probe("/healthz", 10, 3),
        readiness_probe: probe("/readyz", 2, 2),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: 5 }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..Container::default()
    };
    let security = pods::pod_security(Some(PLATFORM_UID), PLATFORM_UID);
    // A single pod is nowhere to be spread, and as long as it is one, its template stays as it was.
    let may_be_several = valid.replicas.min > 1 || valid.replicas.max.is_some();
    let spread = || {
        let selector = pods::label_selector(selector(valid));
        pods::spread(&selector, Some("pod-template-hash"))
    };
    PodSpec {
        topology_spread_constraints: may_be_several.then(spread),
        service_account_name: Some(valid.name()),
        // It watches its Gateway, routes and endpoints.
        automount_service_account_token: Some(true),
        ..pods::pod(container, Vec::new(), security, 45)
    }
}
