//! Reads before a decision. Nothing is written here.

use std::sync::Arc;

use crds::DatabaseBinding;
use kube::ResourceExt;
use kube_cache::Key;
use operator_plan::database_binding::{
    Observed, ServerState, admin_secret, embedded_server, owner,
};

use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::subscriber;

/// The binding as it is now; `None` when it is gone. Where the cache covers it that is the cached copy,
/// which contains the answers to this process's own writes; acting on an older one would provision roles
/// for nobody.
pub async fn current(
    ctx: &Context,
    seen: &Arc<DatabaseBinding>,
) -> Result<Option<Arc<DatabaseBinding>>, Error> {
    let found = ctx.reader.get::<DatabaseBinding>(&Key::of(&**seen)).await?;
    Ok(found.filter(|found| found.uid() == seen.uid()))
}

/// The shop that a binding names, the one whose child it is, the Secret that says where its server is, and whether that server is
/// ready, where the operator runs it.
pub async fn observe(ctx: &Context, binding: &DatabaseBinding) -> Result<Observed, Error> {
    let namespace = binding.namespace().unwrap_or_default();
    let here = |name: &str| Key::new(namespace.clone(), name);
    let storefront = match &binding.spec.server_ref.storefront {
        None => None,
        Some(name) => ctx.reader.get::<crds::Storefront>(&here(name)).await?,
    };
    let parent = match owner(binding) {
        None => None,
        Some((name, uid)) => {
            let shop = ctx.reader.get::<crds::Storefront>(&here(name)).await?;
            shop.filter(|shop| shop.uid().as_deref() == Some(uid))
        }
    };
    let secret = admin_secret(binding, storefront.as_deref()).map(|name| here(&name));
    ctx.secrets
        .subscribe(&subscriber(binding), &[], secret.as_slice());
    let admin = match &secret {
        None => None,
        Some(key) => ctx.secrets.named(key).await?,
    };
    let server = embedded_server(binding, storefront.as_deref());
    Ok(Observed {
        storefront,
        shops: ctx.caches.storefronts.store.objects_in(&namespace),
        owner: parent,
        admin: admin.map(|data| (*data).clone()),
        server: server.map_or(ServerState::Unknown, |name| state(ctx, &here(&name))),
    })
}

/// Where StatefulSets are not watched, connecting is the only way to find out.
fn state(ctx: &Context, key: &Key) -> ServerState {
    let sets = &ctx.caches.stateful_sets.store;
    match sets.get(key) {
        Some(set) => ServerState::Present(Arc::clone(&set.object)),
        None if sets.covers(key) => ServerState::Absent,
        None => ServerState::Unknown,
    }
}
