//! What the services of a shop should have been made from, as things are now.
//!
//! A setting of the shop reaches a service without a change of its object: by the shop's spec, or by a Secret. Until
//! the service's own reconciliation has taken it over, its status is about the time before.

use crds::{ServiceDeployment, Storefront};
use kube::ResourceExt;
use kube_cache::Key;
use operator_plan::conditions::is_ready;
use operator_plan::objects::key_of;
use operator_plan::service_deployment::inputs;
use operator_plan::{Applied, Live, Objects};

use crate::context::Context;
use crate::error::Error;
use crate::kinds::service_deployment::observe::observe;

/// Puts it beside the services that were read.
pub(super) async fn add(
    ctx: &Context,
    shop: &Storefront,
    seen: &mut Objects<Applied>,
) -> Result<(), Error> {
    let namespace = shop.namespace().unwrap_or_default();
    // What one that is not ready was made from does not matter, and its Secrets may not have been read yet.
    let names: Vec<String> = seen
        .all::<ServiceDeployment>()
        .filter(|(_, service)| {
            let list = service.status.as_ref().map(|status| &*status.conditions);
            is_ready(list.unwrap_or_default(), service.metadata.generation)
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in names {
        let key = Key::new(namespace.clone(), name.clone());
        let Some(service) = ctx.caches.service_deployments.store.object(&key) else {
            continue;
        };
        let observed = observe(ctx, &service).await?;
        if let Some(inputs) = inputs(&service, &observed, &ctx.platform) {
            seen.items.push(Applied {
                key: key_of::<ServiceDeployment>(&namespace, &name),
                live: Live::Inputs(inputs),
            });
        }
    }
    Ok(())
}
