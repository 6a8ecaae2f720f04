//! Reads before a decision. No writes here.

use crds::{DatabaseBinding, Storefront};
use kube::ResourceExt;
use operator_plan::database_binding::{Observed, admin_secret};

use crate::context::Context;
use crate::error::Error;

/// The binding as the API server has it now. The watch's copy may be older than the object's death;
/// acting on it would make roles for nobody.
pub async fn current(
    ctx: &Context,
    cached: &DatabaseBinding,
) -> Result<Option<DatabaseBinding>, Error> {
    let namespace = cached.namespace().unwrap_or_default();
    let found = ctx
        .get::<DatabaseBinding>(&namespace, &cached.name_any())
        .await?;
    Ok(found.filter(|found| found.uid() == cached.uid()))
}

/// The shop that a binding names, and the Secret that says where its server is.
pub async fn observe(ctx: &Context, binding: &DatabaseBinding) -> Result<Observed, Error> {
    let namespace = binding.namespace().unwrap_or_default();
    let storefront = match &binding.spec.server_ref.storefront {
        None => None,
        Some(name) => ctx.get::<Storefront>(&namespace, name).await?,
    };
    let admin = match admin_secret(binding, storefront.as_ref()) {
        None => None,
        Some(name) => ctx.secret(&namespace, &name).await?,
    };
    Ok(Observed { storefront, admin })
}
