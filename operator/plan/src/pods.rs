//! What every pod of the platform has in common: labels, owner, and a security context that Pod
//! Security's `restricted` level accepts.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, EnvVar, PodSecurityContext, PodSpec,
        PodTemplateSpec, SeccompProfile, Secret, SecretVolumeSource, SecurityContext, Service,
        ServicePort, ServiceSpec, TCPSocketAction, TopologySpreadConstraint, Volume, VolumeMount,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};

use crate::{
    names,
    objects::{MANAGER, NAME_LABEL, OWNER_UID_LABEL, STOREFRONT_LABEL},
    settings::Settings,
};

/// User of the platform's images.
pub(crate) const PLATFORM_UID: i64 = 65_532;
/// Secret volumes: readable by the pod's group only.
const SECRET_MODE: i32 = 0o440;

/// Owner and namespace of planned objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scope {
    pub(crate) namespace: String,
    /// The shop, where there is one.
    pub(crate) storefront: Option<String>,
    pub(crate) owner: OwnerReference,
}

impl Scope {
    /// Labels of an object that belongs to the part `app` of the shop, for the instance `instance`.
    pub(crate) fn labels(&self, app: &str, instance: &str) -> BTreeMap<String, String> {
        let mut labels = selector(app, instance);
        labels.insert("app.kubernetes.io/managed-by".into(), MANAGER.into());
        labels.insert(OWNER_UID_LABEL.into(), self.owner.uid.clone());
        if let Some(storefront) = &self.storefront {
            labels.insert("app.kubernetes.io/part-of".into(), storefront.clone());
            labels.insert(STOREFRONT_LABEL.into(), storefront.clone());
        }
        labels
    }

    /// Labels of pods: those of the object without its owner's uid, which pods do not need.
    pub(crate) fn pod_labels(&self, app: &str, instance: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels(app, instance);
        labels.remove(OWNER_UID_LABEL);
        labels
    }

    /// Metadata of an owned object.
    pub(crate) fn meta(&self, name: &str, app: &str, instance: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(app, instance)),
            owner_references: Some(vec![self.owner.clone()]),
            ..ObjectMeta::default()
        }
    }
}

/// The labels that select an instance's pods.
pub(crate) fn selector(app: &str, instance: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (NAME_LABEL.to_owned(), names::label_value(app)),
        (
            "app.kubernetes.io/instance".to_owned(),
            names::label_value(instance),
        ),
    ])
}

/// A selector by equality.
pub(crate) fn label_selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

/// Spreads pods over zones and nodes as a preference. `apart` is a label whose values are spread separately.
pub(crate) fn spread(pods: &LabelSelector, apart: Option<&str>) -> Vec<TopologySpreadConstraint> {
    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        .into_iter()
        .map(|key| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: key.to_owned(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            label_selector: Some(pods.clone()),
            match_label_keys: apart.map(|label| vec![label.to_owned()]),
            ..TopologySpreadConstraint::default()
        })
        .collect()
}

/// What `restricted` requires of a container, plus a read-only root file system.
pub(crate) fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".into()]),
            add: None,
        }),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        ..SecurityContext::default()
    }
}

/// What `restricted` requires of a pod. Without a user the image's own (non-root) user runs.
pub(crate) fn pod_security(user: Option<i64>, group: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        fs_group: Some(group),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

/// A pod template with one hardened container, as the user's settings say. There is no other way to one.
pub(crate) fn template(
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    pod: PodSpec,
    settings: &Settings,
) -> PodTemplateSpec {
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    };
    settings.apply(&mut template);
    template
}

/// A pod with one container and no token of the API server.
pub(crate) fn pod(
    container: Container,
    volumes: Vec<Volume>,
    security: PodSecurityContext,
    grace_secs: i64,
) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers: vec![container],
        security_context: Some(security),
        termination_grace_period_seconds: Some(grace_secs),
        volumes: (!volumes.is_empty()).then_some(volumes),
        ..PodSpec::default()
    }
}

/// Files of a Secret, all of its keys.
pub(crate) fn secret_volume(name: &str, secret: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(SECRET_MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// An emptyDir of at most `limit`.
pub(crate) fn scratch_volume(name: &str, limit: &str, memory: bool) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: memory.then(|| "Memory".to_owned()),
            size_limit: Some(Quantity(limit.to_owned())),
        }),
        ..Volume::default()
    }
}

/// Mounts a volume.
pub(crate) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// One environment variable with exactly this value: the kubelet would replace `$(NAME)`, and `$$`.
pub(crate) fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into().replace('$', "$$")),
        value_from: None,
    }
}

/// One environment variable in whose value the kubelet replaces `$(NAME)`.
pub(crate) fn expanded_env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into()),
        value_from: None,
    }
}

/// A probe that succeeds when the port is open.
pub(crate) fn tcp(port: &str) -> TCPSocketAction {
    TCPSocketAction {
        host: None,
        port: IntOrString::String(port.to_owned()),
    }
}

/// A Secret; `kind` is its Kubernetes type.
pub(crate) fn secret(meta: ObjectMeta, kind: &str, data: crate::storefront::Data) -> Secret {
    Secret {
        metadata: meta,
        type_: Some(kind.to_owned()),
        data: Some(
            data.into_iter()
                .map(|(key, value)| (key, ByteString(value)))
                .collect(),
        ),
        ..Secret::default()
    }
}

/// A Service with named ports: name, port, name of the container's port.
pub(crate) fn service(
    meta: ObjectMeta,
    selector: BTreeMap<String, String>,
    ports: &[(&str, i32, &str)],
) -> Service {
    Service {
        metadata: meta,
        spec: Some(ServiceSpec {
            selector: Some(selector),
            ports: Some(
                ports
                    .iter()
                    .map(|(name, port, target)| ServicePort {
                        name: Some((*name).to_owned()),
                        port: *port,
                        protocol: Some("TCP".into()),
                        target_port: Some(IntOrString::String((*target).to_owned())),
                        ..ServicePort::default()
                    })
                    .collect(),
            ),
            // Where the cluster has two families, both. One family is no reason to refuse it.
            ip_family_policy: Some("PreferDualStack".into()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
