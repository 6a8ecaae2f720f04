//! Storefront: one shop. What it consists of is decided by [`operator_plan::storefront`].

mod inputs;
mod observe;
mod teardown;
mod volumes;

use crds::{Storefront, StorefrontStatus};
use operator_plan::storefront as plan;
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, ObjectKey, Objects, Outcome, Planned, Platform, Verdict};

use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::Kind;
use crate::next::Next;

pub use teardown::FINALIZER;

/// The kind.
pub struct Storefronts;

impl Kind for Storefronts {
    type Object = Storefront;
    type Observed = plan::Observed;
    type Valid = plan::Valid;

    const FINALIZER: Option<&'static str> = Some(FINALIZER);

    fn is_paused(_ctx: &Context, shop: &Storefront) -> bool {
        shop.spec.paused
    }

    async fn observe(ctx: &Context, shop: &Storefront) -> Result<plan::Observed, Error> {
        observe::observe(ctx, shop).await
    }

    fn validate(
        shop: &Storefront,
        seen: plan::Observed,
        platform: &Platform,
    ) -> Verdict<plan::Valid> {
        plan::validate(shop, seen, platform)
    }

    fn desired(valid: &plan::Valid) -> Objects<Planned> {
        plan::desired(valid)
    }

    fn may_be_pruned(shop: &Storefront, child: &ObjectKey) -> bool {
        plan::may_be_pruned(shop, child)
    }

    fn children(shop: &Storefront) -> Objects<Planned> {
        plan::children(shop)
    }

    fn unready(
        shop: &Storefront,
        valid: Option<&plan::Valid>,
        seen: &Objects<Applied>,
    ) -> Vec<PodsOf> {
        plan::unready(shop, valid, seen)
    }

    async fn look_closer(
        ctx: &Context,
        shop: &Storefront,
        seen: &mut Objects<Applied>,
    ) -> Result<Next, Error> {
        inputs::add(ctx, shop, seen).await?;
        volumes::add_known(ctx, shop, seen);
        Ok(Next::AwaitChange)
    }

    fn status(
        ctx: &Context,
        shop: &Storefront,
        outcome: &Outcome<'_, plan::Valid>,
    ) -> StorefrontStatus {
        StorefrontStatus {
            operator: Some(ctx.claims.me().to_owned()),
            ..plan::status(shop, outcome, &ctx.platform, ctx.now())
        }
    }

    fn applied_label(valid: &plan::Valid) -> &'static str {
        if valid.missing().is_empty() {
            "applied"
        } else {
            "waiting"
        }
    }

    fn is_held(_ctx: &Context, _shop: &Storefront) -> bool {
        false
    }

    async fn delete(ctx: &Context, shop: &Storefront) -> Result<Next, Error> {
        teardown::delete(ctx, shop).await
    }
}
