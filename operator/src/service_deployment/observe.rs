//! Reads what a plan must know about a workload: its shop, databases, Secrets, Jobs, and who
//! else wants its paths.

use std::collections::BTreeMap;

use crds::ServiceDeployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_plan::hash;
use operator_plan::service_deployment::{Observed, are_rivals, bindings_of, secrets_of};

use crate::context::Context;
use crate::error::Error;
use kube_cache::Key;

/// Looks; writes nothing. Of Secrets only a hash is kept.
pub async fn observe(ctx: &Context, service: &ServiceDeployment) -> Result<Observed, Error> {
    let namespace = service.namespace().unwrap_or_default();
    let here = |name: &str| Key::new(namespace.clone(), name);
    let shop = ctx
        .stores
        .storefronts
        .object(&here(&service.spec.storefront_ref.name));
    let mut bindings = BTreeMap::new();
    for name in bindings_of(service) {
        if let Some(binding) = ctx.stores.database_bindings.object(&here(&name)) {
            bindings.insert(name, (*binding).clone());
        }
    }
    let mut secrets = BTreeMap::new();
    for name in secrets_of(service, &bindings) {
        if let Some(secret) = ctx.get::<Secret>(&namespace, &name).await? {
            secrets.insert(name, hash::of_secret(&secret));
        }
    }
    let mut jobs = BTreeMap::new();
    for child in ctx.stores.children_of(&service.uid().unwrap_or_default()) {
        if child.key.kind != "Job" {
            continue;
        }
        if let Some(job) = ctx.get::<Job>(&namespace, &child.key.name).await? {
            jobs.insert(child.key.name, job);
        }
    }
    let neighbours = ctx.stores.service_deployments.objects_in(&namespace);
    let rivals = neighbours
        .iter()
        .filter(|other| are_rivals(service, other))
        .map(|other| (**other).clone())
        .collect();
    Ok(Observed {
        storefront: shop.map(|shop| (*shop).clone()),
        bindings,
        secrets,
        jobs,
        rivals,
    })
}
