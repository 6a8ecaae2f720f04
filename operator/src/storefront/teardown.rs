//! The end of a shop: services, then databases while their server still runs, then the rest.
//! It ends also when parts are gone already, or when the namespace goes with it.

use std::fmt::Debug;
use std::time::Duration;

use crds::{DatabaseBinding, ServiceDeployment, Storefront};
use kube::api::ListParams;
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Resource, ResourceExt};
use operator_plan::objects::OWNER_UID_LABEL;
use operator_plan::storefront::{Live, for_deletion, status, teardown};
use operator_plan::{ObjectKey, Outcome as Story};
use serde::de::DeserializeOwned;

use super::FINALIZER;
use super::observe::observe;
use crate::context::Context;
use crate::error::{Error, Outcome};
use kube_cache::Owner;

/// The children are watched; this only covers an event that was missed.
const AGAIN: Duration = Duration::from_secs(15);

/// Takes the next step of a deletion.
pub(super) async fn end(ctx: &Context, shop: &Storefront) -> Result<Outcome, Error> {
    if !shop.finalizers().iter().any(|held| held == FINALIZER) {
        return Ok(Outcome::AwaitChange);
    }
    ctx.metrics.outcome("Storefront", "deleting");
    let valid = for_deletion(shop, observe(ctx, shop).await?, &ctx.platform);
    // From the API server and not from the watches: a child that was made a moment ago counts too.
    let live = Live {
        services: children(ctx, shop).await?,
        bindings: children(ctx, shop).await?,
    };
    let step = teardown(&valid, &live);
    ctx.apply_existing(&step.apply).await?;
    for key in &step.delete {
        if let Some(resource) = resource_of(key) {
            ctx.delete_planned(&resource, key).await?;
        }
    }
    if let Some(text) = step.waiting_for {
        let new = status(shop, &Story::Deleting(&text), ctx.now());
        ctx.report_status(shop, &new).await?;
        return Ok(Outcome::Requeue(AGAIN));
    }
    ctx.remove_finalizer(shop, FINALIZER).await?;
    Ok(Outcome::AwaitChange)
}

async fn children<K>(ctx: &Context, shop: &Storefront) -> Result<Vec<K>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let uid = shop.uid().unwrap_or_default();
    let namespace = shop.namespace().unwrap_or_default();
    let params = ListParams::default().labels(&format!("{OWNER_UID_LABEL}={uid}"));
    let listed = ctx.api::<K>(&namespace).list(&params).await;
    let listed = listed
        .map_err(|source| Error::api("list", format!("{}s of the shop", K::kind(&())), source))?;
    // Anybody can write a label; the owner reference decides.
    let is_ours = |child: &K| Owner::of(child).is_some_and(|owner| owner.uid == uid);
    Ok(listed.items.into_iter().filter(is_ours).collect())
}

fn resource_of(key: &ObjectKey) -> Option<ApiResource> {
    let known = [
        ApiResource::erase::<ServiceDeployment>(&()),
        ApiResource::erase::<DatabaseBinding>(&()),
    ];
    known
        .into_iter()
        .find(|resource| resource.group == key.group && resource.kind == key.kind)
}
