//! The picture of one namespace, as `gateway-routes` wants it.

use std::collections::BTreeMap;

use gateway_routes::{
    CertificateState, ObjectName, Objects, Scope, certificate_names, inspect_certificate,
};
use k8s_openapi::api::core::v1::Secret;

use super::is_ours;
use crate::context::Context;
use crate::error::Error;

/// Looks; writes nothing. Of certificates only whether they can be used is kept.
pub async fn observe(ctx: &Context, namespace: &str) -> Result<Objects, Error> {
    let stores = &ctx.stores;
    let mut gateways = stores.gateways.objects_in(namespace);
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
        if let Some(secret) = ctx.get::<Secret>(namespace, &name.name).await? {
            certificates.insert(name, inspect_certificate(&secret));
        }
    }
    Ok(Objects {
        scope: Scope::Namespace,
        gateways,
        http_routes: stores.http_routes.objects_in(namespace),
        jwt_policies: stores.jwt_policies.objects_in(namespace),
        rate_limit_policies: stores.rate_limit_policies.objects_in(namespace),
        services: stores.services.objects_in(namespace),
        certificates,
        ..Objects::default()
    })
}
