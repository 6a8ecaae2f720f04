use std::collections::BTreeMap;

use crds::ServiceDeployment;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::ServiceAccount,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{
    Observed, Valid, logins, migration, network, routes, validate,
    workload::{self, HTTP, METRICS},
};
use crate::{
    Mode, Objects, Planned, Platform, hash, pods, release::REHEARSAL, scaling,
    storefront::SERVICE_PORT,
};

/// Annotation that rolls the pods when a mounted Secret has other content.
const BINDINGS_ANNOTATION: &str = "storefront.dev/bindings-hash";
/// Annotation with which an update is rehearsed.
const REHEARSAL_ANNOTATION: &str = "storefront.dev/rehearsal";

/// Everything that a workload consists of. While its migration runs, existing pods stay as they are.
pub fn desired(valid: &Valid) -> Objects<Planned> {
    let mut objects = Objects::new();
    objects.apply(&service_account(valid));
    objects.apply(&network::policy(valid));
    logins::plan(valid, &mut objects);
    objects.apply(&service(valid));
    migration::plan(valid, &mut objects);
    // Two autoscalers of one workload both stop: that of the user is respected, and ours gives way.
    let scaled = autoscaler(valid).filter(|_| !valid.is_scaled);
    if valid.migration.is_past() {
        let is_scaled = valid.is_scaled || scaled.is_some();
        let mode = if is_scaled {
            Mode::ApplyScaled {
                at_least: valid.service.spec.replicas.min,
            }
        } else {
            Mode::Apply
        };
        objects.push(mode, &deployment(valid, is_scaled));
    } else {
        objects.keep::<Deployment>(&valid.scope.namespace, valid.name());
    }
    if let Some(scaler) = &scaled {
        objects.apply(scaler);
    }
    objects.apply(&scaling::disruption_budget(meta(valid), selector(valid)));
    routes::plan(valid, &mut objects);
    objects
}

/// What distinguishes what a workload is made from now from what it was made from before: its own spec, the
/// settings of its shop, and the content of its Secrets. `None` while it cannot be made.
pub fn inputs(service: &ServiceDeployment, seen: &Observed, platform: &Platform) -> Option<String> {
    let valid = validate(service, seen, platform).ready()?;
    Some(digest(&valid))
}

pub(super) fn digest(valid: &Valid) -> String {
    let text = serde_json::to_vec(&deployment(valid, false)).unwrap_or_default();
    hash::short([text.as_slice()])
}

fn meta(valid: &Valid) -> ObjectMeta {
    valid.scope.meta(valid.name(), valid.app(), valid.name())
}

fn selector(valid: &Valid) -> BTreeMap<String, String> {
    pods::selector(valid.app(), valid.name())
}

fn service_account(valid: &Valid) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(valid),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn service(valid: &Valid) -> k8s_openapi::api::core::v1::Service {
    let mut ports = vec![(HTTP, SERVICE_PORT, HTTP)];
    ports.extend(
        valid
            .service
            .spec
            .metrics_port
            .filter(|p| *p != SERVICE_PORT)
            .map(|p| (METRICS, p, METRICS)),
    );
    pods::service(meta(valid), selector(valid), &ports)
}

fn deployment(valid: &Valid, scaled: bool) -> Deployment {
    let contents = valid
        .contents
        .iter()
        .flat_map(|(k, v)| [k.as_bytes(), v.as_bytes()]);
    let mut annotations = workload::annotations(valid);
    annotations.insert(BINDINGS_ANNOTATION.to_owned(), hash::short(contents));
    if valid.release.has(&REHEARSAL) {
        annotations.insert(REHEARSAL_ANNOTATION.to_owned(), "true".to_owned());
    }
    let mut labels = valid.scope.pod_labels(valid.app(), valid.name());
    labels.extend(network::client_labels(valid));
    Deployment {
        metadata: meta(valid),
        spec: Some(DeploymentSpec {
            // An autoscaler owns the number; writing it here would fight it.
            replicas: (!scaled).then_some(valid.service.spec.replicas.min),
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
            template: pods::template(
                labels,
                annotations,
                workload::serving_pod(valid),
                &workload::settings(valid),
            ),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn autoscaler(valid: &Valid) -> Option<HorizontalPodAutoscaler> {
    scaling::autoscaler(meta(valid), valid.name(), &valid.service.spec.replicas)
}
