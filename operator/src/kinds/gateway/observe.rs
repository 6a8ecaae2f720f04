//! What `gateway-routes` needs to know of one namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_routes::api::{CONTROLLER_NAME, Gateway, HTTPRoute};
use gateway_routes::{CertificateState, ObjectName, Objects, Scope, certificate_names};
use kube_cache::Key;
use operator_plan::storefront::BUILT_IN_CLASS;

use crate::context::Context;
use crate::error::Error;

/// Whether a Gateway is ours: its class names our controller. Where classes cannot be read (an operator
/// that may only read some namespaces), the built-in class counts as ours.
pub fn is_ours(ctx: &Context, gateway: &Gateway) -> bool {
    let name = &gateway.spec.gateway_class_name;
    if !ctx.sees_classes {
        return name == BUILT_IN_CLASS;
    }
    let class = ctx
        .caches
        .gateway_classes
        .store
        .object(&Key::new("", name.clone()));
    class.is_some_and(|class| class.spec.controller_name == CONTROLLER_NAME)
}

/// Reads; writes nothing. Of certificates only whether they can be used is kept.
pub async fn observe(ctx: &Context, namespace: &str) -> Result<Objects, Error> {
    let caches = &ctx.caches;
    let mut gateways = caches.gateways.store.objects_in(namespace);
    let http_routes = caches.http_routes.store.objects_in(namespace);
    gateways.extend(parents_elsewhere(ctx, namespace, &http_routes));
    gateways.retain(|gateway| is_ours(ctx, gateway));
    let mut certificates: BTreeMap<ObjectName, CertificateState> = BTreeMap::new();
    for name in gateways
        .iter()
        .flat_map(|gateway| certificate_names(gateway))
    {
        // The data plane cannot read other namespaces, so neither does this.
        if name.namespace != namespace || certificates.contains_key(&name) {
            continue;
        }
        let key = Key::new(name.namespace.clone(), name.name.clone());
        if let Some(state) = ctx.secrets.certificate(&key).await? {
            certificates.insert(name, state);
        }
    }
    let services = caches.services.store.in_namespace(namespace);
    Ok(Objects {
        scope: Scope::Namespace,
        gateways,
        http_routes,
        jwt_policies: caches.jwt_policies.store.objects_in(namespace),
        rate_limit_policies: caches.rate_limit_policies.store.objects_in(namespace),
        backend_tls_policies: caches.backend_tls_policies.store.objects_in(namespace),
        services: services
            .iter()
            .map(|service| Arc::clone(&service.object))
            .collect(),
        certificates,
        ..Objects::default()
    })
}

/// The Gateways of other namespaces that routes name as parents. They serve none of these routes, and the routes
/// are told so.
fn parents_elsewhere(
    ctx: &Context,
    namespace: &str,
    routes: &[Arc<HTTPRoute>],
) -> Vec<Arc<Gateway>> {
    let parents = routes
        .iter()
        .flat_map(|route| route.spec.parent_refs.iter().flatten());
    let keys: BTreeSet<Key> = parents
        .filter(|parent| parent.is_gateway())
        .filter_map(|parent| {
            let home = parent.namespace.clone().filter(|home| home != namespace)?;
            Some(Key::new(home, parent.name.clone()))
        })
        .collect();
    let store = &ctx.caches.gateways.store;
    keys.iter().filter_map(|key| store.object(key)).collect()
}
