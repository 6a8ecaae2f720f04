//! The workload of the data plane of a Gateway of the class `storefront`. What it serves, and the
//! conditions of Gateway and routes, are decided in `gateway-routes`.

mod data_plane;
mod kept;
pub mod key_sets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::{GatewayService, Replicas, Storefront};
use gateway_routes::{api::Gateway, certificate::kept_secret};
use jiff::Timestamp;

pub use data_plane::desired;
pub use kept::keep;

use crate::{
    Applied, Invalid, Objects, Platform, Verdict, names, objects::owner_of, pods::Scope, readiness,
    release::Release, settings::Settings, storefront::VERSION_ANNOTATION, tracing::Collector,
    trouble::PodsOf,
};

/// Name of its image, and of its part of a shop.
const APP: &str = "gateway";
/// Offset of the container's port for a privileged port: 80 is served on 10080.
const PRIVILEGED_OFFSET: i32 = 10_000;

/// A Gateway whose data plane can be planned.
#[derive(Clone, Debug)]
pub struct Valid {
    scope: Scope,
    /// Port of the Service, port of the container.
    ports: BTreeMap<i32, i32>,
    /// TLS Secrets of this namespace.
    tls_secrets: BTreeSet<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    image: String,
    pull_policy: String,
    collector: Option<Collector>,
    replicas: Replicas,
    settings: Settings,
    service: Option<GatewayService>,
    /// Whether an autoscaler of somebody else decides how many pods there are.
    is_scaled: bool,
    account_since: Option<Timestamp>,
    operator_namespace: String,
}

/// What is known of the cluster around a Gateway.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The shop whose child the Gateway is: its spec says how the data plane runs. One of nobody's has one pod and
    /// the platform's defaults.
    pub storefront: Option<Arc<Storefront>>,
    /// Whether an autoscaler that was not made for the Gateway scales its data plane.
    pub is_scaled: bool,
    /// When its ServiceAccount was made, if that was after its Deployment was: pods of before have no token that is taken.
    pub account_since: Option<Timestamp>,
}

impl Valid {
    /// The Gateway's name.
    pub fn gateway(&self) -> &str {
        &self.scope.owner.name
    }

    /// Without these Secrets: they are no certificates, so the data plane may not read them.
    #[must_use]
    pub fn without_secrets(mut self, foreign: &BTreeSet<String>) -> Self {
        self.tls_secrets.retain(|name| !foreign.contains(name));
        self
    }

    /// Name of every object that is made for it.
    pub fn name(&self) -> String {
        resource_name(self.gateway())
    }
}

/// Name of the Deployment, the Service and the rest of a Gateway's data plane.
pub fn resource_name(gateway: &str) -> String {
    names::child(gateway, "gateway")
}

/// The pods of a Gateway's data plane.
pub fn pods_of(gateway: &str) -> PodsOf {
    PodsOf::deployment(&resource_name(gateway))
}

/// Why the data plane of a Gateway has no pod that is available, from its Deployment and the pods that were read.
pub fn trouble(gateway: &str, seen: &Objects<Applied>) -> Option<String> {
    let part = readiness::deployment(seen, resource_name(gateway));
    (!part.ready).then_some(part.message)
}

/// Port that the container listens on for a port of a listener.
pub fn container_port(listener: i32) -> i32 {
    if listener < 1_024 {
        listener + PRIVILEGED_OFFSET
    } else {
        listener
    }
}

/// Whether the data plane can be planned.
pub fn validate(gateway: &Gateway, seen: &Observed, platform: &Platform) -> Verdict<Valid> {
    let mut ports = BTreeMap::new();
    let mut taken: BTreeMap<i32, i32> = BTreeMap::new();
    for listener in &gateway.spec.listeners {
        let port = i32::from(listener.port);
        let inside = container_port(port);
        if inside == crate::storefront::METRICS_PORT {
            return Verdict::Invalid(Invalid::new(
                "PortUnavailable",
                format!(
                    "spec.listeners: port {port} is reserved for the data plane's metrics; choose another"
                ),
            ));
        }
        if let Some(other) = taken.insert(inside, port).filter(|other| *other != port) {
            return Verdict::Invalid(Invalid::new(
                "PortUnavailable",
                format!(
                    "spec.listeners: ports {other} and {port} map to the same container port {inside}; change one of them"
                ),
            ));
        }
        ports.insert(port, inside);
    }
    if ports.is_empty() {
        return Verdict::Invalid(Invalid::new(
            "ListenersMissing",
            "spec.listeners: name at least one listener",
        ));
    }
    let handed_on = gateway.metadata.annotations.clone().unwrap_or_default();
    let image = image(&handed_on, seen, platform);
    let collector = match Collector::read(&handed_on) {
        Ok(collector) => collector,
        Err(why) => return Verdict::Invalid(why),
    };
    let shop = seen.storefront.as_ref().map(|shop| &shop.spec);
    let settings = shop.map(|shop| {
        let own = &shop.gateway;
        Settings::of_part(shop, (own.pods.as_deref(), own.resources.as_ref()))
    });
    let infrastructure = gateway.spec.infrastructure.clone().unwrap_or_default();
    Verdict::Ready(Valid {
        scope: Scope {
            namespace: gateway.metadata.namespace.clone().unwrap_or_default(),
            storefront: None,
            owner: owner_of(gateway),
        },
        ports,
        tls_secrets: tls_secrets(gateway),
        labels: foreign(infrastructure.labels.unwrap_or_default()),
        annotations: infrastructure.annotations.unwrap_or_default(),
        image,
        pull_policy: platform.pull_policy.clone(),
        collector,
        replicas: shop
            .and_then(|shop| shop.gateway.replicas.clone())
            .unwrap_or_default(),
        settings: settings.unwrap_or_default(),
        service: shop.and_then(|shop| shop.gateway.service.clone()),
        is_scaled: seen.is_scaled,
        account_since: seen.account_since,
        operator_namespace: platform.operator_namespace.clone(),
    })
}

/// The image of the data plane. That of a shop is of the shop's release; of a Gateway of nobody's an annotation names
/// the release, else it is the operator's.
fn image(annotations: &BTreeMap<String, String>, seen: &Observed, platform: &Platform) -> String {
    if let Some(shop) = &seen.storefront {
        return Release::of(shop, platform).image(APP);
    }
    let release = annotations.get(VERSION_ANNOTATION);
    platform.image(APP, release.unwrap_or(&platform.version))
}

/// Labels of the user. The platform's own say which servers a pod may reach, and whose it is.
fn foreign(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.retain(|name, _| !name.starts_with("storefront.dev/"));
    labels
}

/// Secrets of the Gateway's own namespace that its HTTPS listeners refer to, and that with the last good
/// certificates: the only ones that the data plane may read.
fn tls_secrets(gateway: &Gateway) -> BTreeSet<String> {
    let own = gateway.metadata.namespace.as_deref();
    let listeners = gateway.spec.listeners.iter();
    let listeners = listeners.filter(|listener| listener.protocol == "HTTPS");
    let mut names: BTreeSet<String> = listeners
        .filter_map(|listener| listener.tls.as_ref())
        .flat_map(|tls| tls.certificate_refs.iter().flatten())
        .filter(|secret| secret.is_secret())
        .filter(|secret| secret.namespace.is_none() || secret.namespace.as_deref() == own)
        .map(|secret| secret.name.clone())
        .collect();
    let kept = gateway.metadata.name.as_deref().and_then(kept_secret);
    names.extend(kept.filter(|_| !names.is_empty()));
    names
}
