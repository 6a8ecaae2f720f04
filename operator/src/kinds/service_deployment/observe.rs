//! Reads what the plan of a workload must know: its shop, databases, Secrets, Jobs, and who else wants
//! its paths.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crds::ServiceDeployment;
use kube::ResourceExt;
use kube_cache::Key;
use operator_plan::scaling::Target;
use operator_plan::service_deployment::{
    Observed, are_rivals, bindings_of, effective, login_secrets, secrets_of,
};
use operator_plan::storefront::Data;

use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::subscriber;

/// Reads; writes nothing. Of Secrets only a checksum is taken.
pub async fn observe(ctx: &Context, service: &ServiceDeployment) -> Result<Observed, Error> {
    let namespace = service.namespace().unwrap_or_default();
    let here = |name: &str| Key::new(namespace.clone(), name);
    let shop = here(&service.spec.storefront_ref.name);
    let shop = ctx.caches.storefronts.store.object(&shop);
    let as_asked = match &shop {
        Some(shop) => effective(service, shop, &ctx.platform).unwrap_or(Cow::Borrowed(service)),
        None => Cow::Borrowed(service),
    };
    let service = as_asked.as_ref();
    let mut bindings = BTreeMap::new();
    for name in bindings_of(service) {
        if let Some(binding) = ctx.caches.database_bindings.store.object(&here(&name)) {
            bindings.insert(name, binding);
        }
    }
    let named: Vec<Key> = secrets_of(service, &bindings)
        .iter()
        .map(|name| here(name))
        .collect();
    let of_shop = shop.iter().flat_map(|shop| login_secrets(service, shop));
    let of_shop: Vec<Key> = of_shop.map(|name| here(&name)).collect();
    ctx.secrets
        .subscribe(&subscriber(service), &of_shop, &named);
    let mut logins = BTreeMap::new();
    for key in of_shop {
        if let Some(data) = ctx.secrets.held(&key).await? {
            logins.insert(key.name, Data::clone(&data));
        }
    }
    let ours = &ctx.caches.secrets.store;
    let made: BTreeSet<String> = named
        .iter()
        .filter(|key| ours.get(key).is_some())
        .map(|key| key.name.clone())
        .collect();
    let administrators = administrators(ctx, &namespace, &named);
    let (secrets, mountable) = mounted(ctx, named).await?;
    let neighbours = ctx.caches.service_deployments.store.objects_in(&namespace);
    let rivals = neighbours
        .iter()
        .filter(|other| are_rivals(service, other))
        .cloned()
        .collect();
    check_current(ctx, service)?;
    let (name, uid) = (service.name_any(), service.uid().unwrap_or_default());
    let is_scaled = |target| ctx.caches.is_scaled(&namespace, target, &uid);
    Ok(Observed {
        storefront: shop.clone(),
        bindings,
        secrets,
        mountable,
        logins,
        jobs: ctx
            .reader
            .jobs_of(&service.uid().unwrap_or_default())
            .collect(),
        rivals,
        shops: ctx.caches.storefronts.store.objects_in(&namespace),
        made,
        administrators,
        is_scaled: is_scaled(Target::Deployment(&name)),
        is_scaled_itself: is_scaled(Target::ServiceDeployment(&name)),
    })
}

/// The checksums of these Secrets, by name, and which of them services of teams may mount.
async fn mounted(
    ctx: &Context,
    named: Vec<Key>,
) -> Result<(BTreeMap<String, String>, BTreeSet<String>), Error> {
    let (mut checksums, mut mountable) = (BTreeMap::new(), BTreeSet::new());
    for key in named {
        if let Some(found) = ctx.secrets.mountable(&key).await? {
            if found.is_granted {
                mountable.insert(key.name.clone());
            }
            checksums.insert(key.name, found.checksum);
        }
    }
    Ok((checksums, mountable))
}

/// Reading takes time, in which the object may have been deleted: what is made for it then would be left.
fn check_current(ctx: &Context, service: &ServiceDeployment) -> Result<(), Error> {
    let key = Key::of(service);
    let store = &ctx.caches.service_deployments.store;
    let now = store.object(&key);
    if !store.covers(&key) || now.is_some_and(|now| now.uid() == service.uid()) {
        return Ok(());
    }
    Err(Error::Stale {
        what: format!("ServiceDeployment {key}"),
    })
}

/// Those of these Secrets that hold the login of a database server's administrator.
fn administrators(ctx: &Context, namespace: &str, secrets: &[Key]) -> BTreeSet<String> {
    let bindings = ctx.caches.database_bindings.store.objects_in(namespace);
    let logins = bindings
        .iter()
        .filter_map(|binding| binding.spec.server_ref.admin_secret.as_ref());
    let named = logins.filter(|secret| secrets.iter().any(|key| key.name == secret.name));
    named.map(|secret| secret.name.clone()).collect()
}
