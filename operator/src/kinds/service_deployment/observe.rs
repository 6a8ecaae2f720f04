//! Reads what the plan of a workload must know: its shop, databases, Secrets, Jobs, and who else wants
//! its paths.

use std::collections::BTreeMap;

use crds::ServiceDeployment;
use kube::ResourceExt;
use kube_cache::Key;
use operator_plan::service_deployment::{Observed, are_rivals, bindings_of, secrets_of};

use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::subscriber;

/// Reads; writes nothing. Of Secrets only a checksum is taken.
pub async fn observe(ctx: &Context, service: &ServiceDeployment) -> Result<Observed, Error> {
    let namespace = service.namespace().unwrap_or_default();
    let here = |name: &str| Key::new(namespace.clone(), name);
    let shop = here(&service.spec.storefront_ref.name);
    let shop = ctx.caches.storefronts.store.object(&shop);
    let mut bindings = BTreeMap::new();
    for name in bindings_of(service) {
        if let Some(binding) = ctx.caches.database_bindings.store.object(&here(&name)) {
            bindings.insert(name, (*binding).clone());
        }
    }
    let named: Vec<Key> = secrets_of(service, &bindings)
        .iter()
        .map(|name| here(name))
        .collect();
    ctx.secrets.subscribe(&subscriber(service), &[], &named);
    let mut secrets = BTreeMap::new();
    for key in named {
        if let Some(checksum) = ctx.secrets.checksum(&key).await? {
            secrets.insert(key.name, checksum);
        }
    }
    let neighbours = ctx.caches.service_deployments.store.objects_in(&namespace);
    let rivals = neighbours
        .iter()
        .filter(|other| are_rivals(service, other))
        .map(|other| (**other).clone())
        .collect();
    Ok(Observed {
        storefront: shop.map(|shop| (*shop).clone()),
        bindings,
        secrets,
        jobs: ctx
            .reader
            .jobs_of(&service.uid().unwrap_or_default())
            .collect(),
        rivals,
    })
}
