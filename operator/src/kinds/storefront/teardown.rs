//! The deletion of a shop: services, then databases while their server still runs, then the rest.
//! It ends also when parts are gone already, or when the namespace goes with it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crds::{DatabaseBinding, ServiceDeployment, Storefront};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, ListParams, Patch};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Resource, ResourceExt};
use kube_cache::{Key, Owner};
use operator_plan::leaving::ending;
use operator_plan::objects::OWNER_UID_LABEL;
use operator_plan::storefront::{Live, for_deletion, held, status, teardown};
use operator_plan::{Invalid, ObjectKey, Objects, Outcome};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::observe::observe;
use crate::caches::CachedKind;
use crate::context::Context;
use crate::error::{Error, optional};
use crate::next::Next;
use crate::patches::merge_params;

/// Until somebody else's finalizer is named.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Set on a shop as soon as something was made for it: its parts must be deleted in the right order.
pub const FINALIZER: &str = "storefront.dev/shop";

/// Takes the next step of a deletion. Its children are watched, so the next one follows by itself.
pub(super) async fn delete(ctx: &Context, shop: &Storefront) -> Result<Next, Error> {
    if !shop.finalizers().iter().any(|held| held == FINALIZER) {
        let text = ending(&shop.metadata);
        let new = status(shop, &Outcome::Deleting(&text), &ctx.platform, ctx.now());
        ctx.statuses.report(shop, &new).await?;
        return Ok(Next::AwaitChange);
    }
    ctx.metrics.outcome("Storefront", "deleting");
    let valid = for_deletion(shop, observe(ctx, shop).await?, &ctx.platform);
    let live = Live {
        services: children(ctx, shop).await?,
        bindings: children(ctx, shop).await?,
    };
    let step = teardown(&valid, &live);
    ctx.applier.apply_existing(&step.apply).await?;
    for claim in &step.volumes {
        give_up(ctx, claim).await?;
    }
    for key in &step.delete {
        if let Some(resource) = resource_of(key) {
            ctx.applier.delete(&resource, key).await?;
        }
    }
    if let Some(text) = step.waiting_for {
        let held = held(&text, &live);
        let why = Invalid::new("DeletionBlocked", held.message.clone());
        let nothing = Objects::new();
        let outcome = if held.stalls {
            Outcome::Invalid(&why, &nothing)
        } else {
            Outcome::Deleting(&held.message)
        };
        let mut new = status(shop, &outcome, &ctx.platform, ctx.now());
        new.blocked_by = held.blocker;
        ctx.statuses.report(shop, &new).await?;
        return Ok(Next::AwaitChange);
    }
    ctx.finalizers.remove(shop, FINALIZER).await?;
    // What this process wrote is no news to it, and who else keeps the object is still to be said.
    let is_kept = shop.finalizers().iter().any(|held| held != FINALIZER);
    Ok(if is_kept {
        Next::Requeue(AT_ONCE)
    } else {
        Next::AwaitChange
    })
}

/// Lets a volume claim go with the shop, by one more owner reference. The claim's StatefulSet cannot do that:
/// it may be gone already, and its controller may see a new policy too late.
async fn give_up(ctx: &Context, planned: &PersistentVolumeClaim) -> Result<(), Error> {
    let key = Key::of(planned);
    let what = || format!("PersistentVolumeClaim {key}");
    let Some(found) = ctx.reader.fetch::<PersistentVolumeClaim>(&key).await? else {
        return Ok(());
    };
    let mut owners = found.metadata.owner_references.clone().unwrap_or_default();
    let missing = planned.owner_references().iter();
    let missing: Vec<_> = missing
        .filter(|owner| owners.iter().all(|known| known.uid != owner.uid))
        .cloned()
        .collect();
    let is_ours = planned
        .labels()
        .iter()
        .all(|(name, value)| found.labels().get(name) == Some(value));
    if missing.is_empty() || !is_ours {
        return Ok(());
    }
    owners.extend(missing);
    let patch = json!({ "metadata": {
        "ownerReferences": owners, "uid": found.uid(), "resourceVersion": found.resource_version(),
    }});
    let api = Api::<PersistentVolumeClaim>::namespaced(ctx.client.clone(), &key.namespace);
    let patched = api
        .patch(&key.name, &merge_params(), &Patch::Merge(&patch))
        .await;
    optional(patched).map_err(|source| Error::api("give an owner to", what(), source))?;
    Ok(())
}

/// The children of a kind: as the cache has them while there are any, else as the API server does. What
/// is deleted next depends on there being none.
async fn children<K>(ctx: &Context, shop: &Storefront) -> Result<Vec<K>, Error>
where
    K: CachedKind + Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let uid = shop.uid().unwrap_or_default();
    let store = &K::cache(&ctx.caches).store;
    let known: Vec<Arc<K>> = store
        .owned_by(&uid)
        .iter()
        .filter_map(|key| store.object(key))
        .collect();
    if !known.is_empty() {
        return Ok(known.iter().map(|child| K::clone(child)).collect());
    }
    let namespace = shop.namespace().unwrap_or_default();
    let params = ListParams::default().labels(&format!("{OWNER_UID_LABEL}={uid}"));
    let api = Api::<K>::namespaced(ctx.client.clone(), &namespace);
    let listed = api.list(&params).await;
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
