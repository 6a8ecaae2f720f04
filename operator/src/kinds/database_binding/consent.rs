//! Asks whether the owner of a shared database consents.

use crds::{DatabaseBinding, Storefront};
use kube_cache::Key;
use operator_plan::Invalid;
use operator_plan::database_binding::{self as plan, Mark, Owner};
use operator_plan::storefront::shop_of_binding;

use crate::context::Context;
use crate::error::Error;

/// Reads the binding that a database belongs to, and decides by it.
pub async fn consent(
    ctx: &Context,
    binding: &DatabaseBinding,
    mark: &Mark,
) -> Result<Result<(), Invalid>, Error> {
    let here = |name: &str| Key::new(mark.namespace.clone(), name);
    let owner = ctx.reader.get::<DatabaseBinding>(&here(&mark.name)).await?;
    let shop = match shop_of_binding(&mark.name) {
        None => None,
        Some((shop, _)) => ctx.reader.get::<Storefront>(&here(shop)).await?,
    };
    let owner = Owner {
        mark,
        binding: owner.as_deref(),
        shop: shop.as_deref(),
    };
    Ok(plan::consent(binding, owner))
}
