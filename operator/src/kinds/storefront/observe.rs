//! Reads what the plan of a shop must know: its Secrets, its servers, and the Jobs that try their images.

use std::collections::{BTreeMap, BTreeSet};

use crds::Storefront;
use kube::ResourceExt;
use kube_cache::Key;
use operator_plan::scaling::Target;
use operator_plan::storefront::certificate::{is_due, own_secret};
use operator_plan::storefront::{
    Data, Observed, missing_material, needs, servers, services_of, shared_hosts, team_clients,
};

use super::volumes;
use crate::certificate;
use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::subscriber;
use crate::material;

/// Reads; writes nothing, and generates only what the shop does not have.
pub async fn observe(ctx: &Context, shop: &Storefront) -> Result<Observed, Error> {
    let namespace = shop.namespace().unwrap_or_default();
    let keys = |names: Vec<String>| -> Vec<Key> {
        let keys = names.into_iter();
        keys.map(|name| Key::new(namespace.clone(), name)).collect()
    };
    let needs = needs(shop);
    let (mut own_keys, mut named_keys) = (keys(needs.own), keys(needs.referenced));
    // An issuer of certificates fills this one, without our label.
    if is_issued(shop) {
        let issued = own_secret(shop);
        let (theirs, ours) = own_keys
            .into_iter()
            .partition(|key| Some(&key.name) == issued.as_ref());
        own_keys = ours;
        named_keys.extend::<Vec<Key>>(theirs);
    }
    ctx.secrets
        .subscribe(&subscriber(shop), &own_keys, &named_keys);
    let (mut own, mut referenced) = (BTreeMap::new(), BTreeMap::new());
    for key in own_keys {
        if let Some(data) = ctx.secrets.own(&key).await? {
            own.insert(key.name, Data::clone(&data));
        }
    }
    for key in named_keys {
        if let Some(data) = ctx.secrets.named(&key).await? {
            let is_own = is_issued(shop) && Some(&key.name) == own_secret(shop).as_ref();
            let read = if is_own { &mut own } else { &mut referenced };
            read.insert(key.name, Data::clone(&data));
        }
    }
    let neighbours = ctx.caches.service_deployments.store.objects_in(&namespace);
    let shops = ctx.caches.storefronts.store.all();
    let now = ctx.now();
    let known = own_secret(shop)
        .and_then(|name| own.get(&name))
        .and_then(certificate::read);
    let mint = || certificate::mint(&shop.spec.hostnames, now);
    let minted = is_due(shop, known.as_ref(), now).then(mint);
    let mut servers = ctx.reader.read(&servers(shop)).await?;
    volumes::add(ctx, shop, &mut servers).await?;
    Ok(Observed {
        now,
        servers,
        jobs: ctx
            .reader
            .jobs_of(&shop.uid().unwrap_or_default())
            .collect(),
        clients: team_clients(
            &shop.name_any(),
            neighbours.iter().map(|service| &**service),
        ),
        shared_hosts: shared_hosts(shop, shops.iter().map(|shop| &*shop.0)),
        scaled: scaled(ctx, shop),
        referenced,
        fresh: material::generate(&missing_material(shop, &own, now))?,
        minted: minted.transpose()?,
        own,
    })
}

/// The services of the shop that an autoscaler of somebody else scales by their ServiceDeployments.
fn scaled(ctx: &Context, shop: &Storefront) -> BTreeSet<String> {
    let (namespace, shop) = (shop.namespace().unwrap_or_default(), shop.name_any());
    let is_scaled = |name: &String| {
        let target = Target::ServiceDeployment(name);
        ctx.caches.is_scaled(&namespace, target, "")
    };
    services_of(&shop).filter(is_scaled).collect()
}

fn is_issued(shop: &Storefront) -> bool {
    let tls = shop.spec.gateway.tls.as_ref();
    tls.is_some_and(|tls| tls.secret_ref.is_none() && tls.issuer_ref.is_some())
}
