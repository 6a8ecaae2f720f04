//! Reads what a plan must know about a shop: its Secrets, by name.

use std::collections::BTreeMap;

use crds::Storefront;
use kube::ResourceExt;
use operator_plan::storefront::certificate::{is_due, own_secret};
use operator_plan::storefront::{Observed, referenced_secrets, secret_names};

use crate::certificate;
use crate::context::{Context, Data};
use crate::error::Error;
use crate::material;

/// Looks; writes nothing.
pub async fn observe(ctx: &Context, shop: &Storefront) -> Result<Observed, Error> {
    let namespace = shop.namespace().unwrap_or_default();
    let own = secrets(ctx, &namespace, secret_names(shop)).await?;
    let known = own_secret(shop)
        .and_then(|name| own.get(&name))
        .and_then(certificate::read);
    let mint = || certificate::mint(&shop.spec.hostnames, ctx.now());
    let minted = is_due(shop, known.as_ref(), ctx.now()).then(mint);
    Ok(Observed {
        referenced: secrets(ctx, &namespace, referenced_secrets(shop)).await?,
        fresh: material::fresh()?,
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
