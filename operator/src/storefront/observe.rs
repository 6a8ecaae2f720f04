//! Reads what a plan must know about a shop: its Secrets, by name, its servers, and the Jobs that try
//! their images.

use std::collections::BTreeMap;

use crds::Storefront;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use operator_plan::storefront::certificate::{is_due, own_secret};
use operator_plan::storefront::{Observed, missing_material, needs, servers};

use crate::certificate;
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
    let now = ctx.now();
    let needs = needs(shop);
    let own = secrets(ctx, &namespace, needs.own).await?;
    let known = own_secret(shop)
        .and_then(|name| own.get(&name))
        .and_then(certificate::read);
    let mint = || certificate::mint(&shop.spec.hostnames, now);
    let minted = is_due(shop, known.as_ref(), now).then(mint);
    Ok(Observed {
        now,
        servers: ctx.apply(&servers(shop)).await?,
        jobs,
        referenced: secrets(ctx, &namespace, needs.referenced).await?,
        fresh: material::generate(&missing_material(shop, &own, now))?,
        minted: minted.transpose()?,
        own,
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
