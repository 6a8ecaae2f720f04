//! The volume claims of a shop's servers that are being deleted: from their watch, or by name where they may not be watched.

use crds::Storefront;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube_cache::{Cached, Key};
use operator_plan::objects::key_of;
use operator_plan::storefront::{set_of_claim, volume_claims};
use operator_plan::{Applied, Live, Objects};

use crate::context::Context;
use crate::error::Error;
use crate::slim::workload_id;
use crate::volumes::VolumeClaim;

/// Puts the claims of a shop's servers that are being deleted beside what else is known of the servers.
pub(super) fn add_known(ctx: &Context, shop: &Storefront, seen: &mut Objects<Applied>) {
    let namespace = shop.namespace().unwrap_or_default();
    let store = &ctx.caches.volume_claims.store;
    let names = volume_claims(shop);
    let mut sets: Vec<&str> = names.iter().filter_map(|name| set_of_claim(name)).collect();
    sets.dedup();
    for set in sets {
        // Also those of pods that the spec no longer asks for.
        let mut keys = store.owned_by(&workload_id(&namespace, "StatefulSet", set));
        keys.sort();
        let claims = keys.iter().filter_map(|key| store.get(key));
        seen.items
            .extend(claims.filter_map(|claim| applied(&claim)));
    }
}

/// The same; where they are not watched they are read.
pub(super) async fn add(
    ctx: &Context,
    shop: &Storefront,
    seen: &mut Objects<Applied>,
) -> Result<(), Error> {
    let namespace = shop.namespace().unwrap_or_default();
    if ctx
        .caches
        .volume_claims
        .store
        .covers(&Key::new(namespace.clone(), ""))
    {
        add_known(ctx, shop, seen);
        return Ok(());
    }
    for name in volume_claims(shop) {
        let key = Key::new(namespace.clone(), name);
        let found = ctx.reader.fetch::<PersistentVolumeClaim>(&key).await?;
        let claim = found.map(|found| VolumeClaim::of(&found.metadata));
        seen.items.extend(claim.and_then(|claim| applied(&claim)));
    }
    Ok(())
}

fn applied(claim: &VolumeClaim) -> Option<Applied> {
    let since = claim.leaving.clone()?;
    let Key { namespace, name } = claim.key();
    Some(Applied {
        key: key_of::<PersistentVolumeClaim>(&namespace, &name),
        live: Live::Leaving(since),
    })
}
