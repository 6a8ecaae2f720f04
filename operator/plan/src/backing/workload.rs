//! Pieces of the workloads of embedded servers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{
            Container, ContainerPort, PersistentVolumeClaim, PodSpec, PodTemplateSpec, Probe,
            Service,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{embedded::Embedded, trial};
use crate::{hash, pods, storefront::Valid};

/// Annotation that restarts a pod when its configuration changes.
const CONFIG_ANNOTATION: &str = "storefront.dev/config-hash";

/// Annotation of a server's object with a hash of the secrets that its pods were first started with.
const FIRST_ANNOTATION: &str = "storefront.dev/first-secret-hash";
/// Annotation of its pods with a hash of other ones: they restart, because a server keeps to what it read.
const SECRET_ANNOTATION: &str = "storefront.dev/secret-hash";

/// What makes a server's pods restart.
pub(super) struct Config<'a> {
    /// Its configuration without secrets, where it has one.
    pub(super) text: Option<&'a str>,
    /// Its passwords. They restart the pods only where they are not those that were first seen: a server of
    /// before this was known is not restarted because of it.
    pub(super) secret: &'a str,
}

/// Metadata of what runs a server's pods. It records which image is known to start, and the first secrets.
pub(super) fn meta(valid: &Valid, server: &Embedded, config: &Config<'_>) -> ObjectMeta {
    let image = trial::image(valid, server);
    let proven = (trial::PROVEN_ANNOTATION.to_owned(), image);
    let first = (FIRST_ANNOTATION.to_owned(), first(valid, server, config));
    ObjectMeta {
        annotations: Some(BTreeMap::from([proven, first])),
        ..valid.meta(server.part)
    }
}

fn first(valid: &Valid, server: &Embedded, config: &Config<'_>) -> String {
    let seen = trial::annotations(valid, server).and_then(|mut all| all.remove(FIRST_ANNOTATION));
    seen.unwrap_or_else(|| hash::short([config.secret.as_bytes()]))
}

/// The Service of a server, with named ports: name, port, name of the container's port.
pub(super) fn service(valid: &Valid, server: &Embedded, ports: &[(&str, i32, &str)]) -> Service {
    let selector = pods::selector(server.part, &valid.child(server.part));
    pods::service(valid.meta(server.part), selector, ports)
}

/// The template of a server's pods. They restart when `config` changes.
pub(super) fn template(
    valid: &Valid,
    server: &Embedded,
    pod: PodSpec,
    config: &Config<'_>,
) -> PodTemplateSpec {
    let labels = valid
        .scope
        .pod_labels(server.part, &valid.child(server.part));
    let hashed = |name: &str, text: &str| (name.to_owned(), hash::short([text.as_bytes()]));
    let text = config.text.map(|text| hashed(CONFIG_ANNOTATION, text));
    let now = hashed(SECRET_ANNOTATION, config.secret);
    let other = (now.1 != first(valid, server, config)).then_some(now);
    let annotations = text.into_iter().chain(other).collect();
    pods::template(labels, annotations, pod, &server.settings(valid))
}

/// A StatefulSet of one pod with a volume called `data`.
pub(super) fn stateful_set(
    valid: &Valid,
    server: &Embedded,
    config: &Config<'_>,
    (template, volume): (PodTemplateSpec, PersistentVolumeClaim),
) -> StatefulSet {
    let name = valid.child(server.part);
    StatefulSet {
        metadata: meta(valid, server, config),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            // A set in order waits for ever for a pod whose template was wrong, even after the
            // template has been corrected. These servers need no order.
            pod_management_policy: Some("Parallel".to_owned()),
            selector: pods::label_selector(pods::selector(server.part, &name)),
            service_name: Some(name),
            template,
            volume_claim_templates: Some(vec![volume]),
            // Whoever deletes the set, to have it made again, does not mean the data: only the end of the shop
            // gives the volumes up (see `teardown`).
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some("Retain".to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                },
            ),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// The hardened container of a server, with the image that may run.
pub(super) fn container(valid: &Valid, server: &Embedded, ports: &[(&str, i32)]) -> Container {
    let ports = ports.iter().map(|(name, number)| port(name, *number));
    Container {
        name: server.part.to_owned(),
        image: Some(trial::image(valid, server)),
        image_pull_policy: Some(valid.platform.pull_policy.clone()),
        security_context: Some(pods::container_security()),
        ports: Some(ports.collect()),
        ..Container::default()
    }
}

/// A named TCP port of a container.
pub(super) fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// A probe that an open port passes.
pub(super) fn tcp_probe(port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        tcp_socket: Some(pods::tcp(port)),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}
