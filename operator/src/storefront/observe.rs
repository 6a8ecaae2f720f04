//! Reads what a plan must know about a shop: its Secrets, by name, its servers, and the Jobs that try
//! their images.

use std::collections::BTreeMap;

use crds::Storefront;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use operator_plan::storefront::{Observed, referenced_secrets, secret_names, servers};

use crate::context::{Context, Data};
use crate::error::Error;
use crate::material;

/// Looks; writes nothing.
pub async fn observe(ctx: &Context, shop: &Storefront) -> Result<Observed, Error> {
    let namespace = shop.namespace().unwrap_or_default();
    let mut jobs = BTreeMap::new();
    for child in ctx.stores.children_of(&shop.uid().unwrap_or_default()) {
        if child.key.kind != "Job" {
            continue;
        }
        if let Some(job) = ctx.get::<Job>(&namespace, &child.key.name).await? {
            jobs.insert(child.key.name, job);
        }
    }
    Ok(Observed {
        now: ctx.now(),
        servers: ctx.apply(&servers(shop)).await?,
        jobs,
        own: secrets(ctx, &namespace, secret_names(shop)).await?,
        referenced: secrets(ctx, &namespace, referenced_secrets(shop)).await?,
        fresh: material::fresh()?,
    })
}

async fn secrets(
    ctx: &Context,
    namespace: &str,
    names: Vec<String>,
) -> Result<BTreeMap<String, Data>, Error> {
    let mut found = BTreeMap::new();
    for name in names {
        if let Some(data) = ctx.secret(namespace, &name).await? {
            found.insert(name, data);
        }
    }
    Ok(found)
}
