//! The story of one shop: look, decide, make, tell.

use std::time::Duration;

use crds::Storefront;
use kube::ResourceExt;
use operator_plan::storefront::{desired, status, validate};
use operator_plan::{Outcome as Story, Verdict};

use super::observe::observe;
use super::{FINALIZER, teardown};
use crate::context::Context;
use crate::error::{Error, Outcome};

/// Time between two looks for a Secret of the user's or of an issuer's, which is not watched.
const SOON: Duration = Duration::from_secs(5);

/// Brings one shop closer to what it says.
pub async fn reconcile(ctx: &Context, shop: &Storefront) -> Result<Outcome, Error> {
    if shop.metadata.deletion_timestamp.is_some() {
        return teardown::end(ctx, shop).await;
    }
    if shop.spec.paused {
        return tell(ctx, shop, &Story::Paused, "paused", Outcome::AwaitChange).await;
    }
    let seen = observe(ctx, shop).await?;
    let valid = match validate(shop, seen, &ctx.platform) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => {
            let next = Outcome::Requeue(SOON);
            return tell(ctx, shop, &Story::Waiting(&on), "waiting", next).await;
        }
        Verdict::Invalid(why) => {
            let next = Outcome::AwaitChange;
            return tell(ctx, shop, &Story::Invalid(&why), "invalid", next).await;
        }
    };
    ctx.add_finalizer(shop, FINALIZER).await?;
    let plan = desired(&valid);
    let applied = ctx.apply(&plan).await?;
    ctx.prune(&shop.uid().unwrap_or_default(), &plan).await?;
    let new = status(shop, &Story::Applied(&applied), Some(&valid), ctx.now());
    ctx.report_status(shop, &new).await?;
    ctx.metrics.outcome("Storefront", "applied");
    if valid.awaits_certificate() {
        return Ok(Outcome::Requeue(SOON));
    }
    Ok(Outcome::AwaitChange)
}

/// Ends a look that made nothing.
async fn tell(
    ctx: &Context,
    shop: &Storefront,
    story: &Story<'_>,
    outcome: &'static str,
    next: Outcome,
) -> Result<Outcome, Error> {
    ctx.report_status(shop, &status(shop, story, None, ctx.now()))
        .await?;
    ctx.metrics.outcome("Storefront", outcome);
    Ok(next)
}
