//! The story of one shop: look, decide, make, tell.

use std::time::Duration;

use crds::Storefront;
use kube::ResourceExt;
use operator_plan::storefront::{Valid, children, desired, status, unready, validate};
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, Objects, Outcome as Story, Verdict};

use super::observe::observe;
use super::{FINALIZER, teardown};
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::pods::next_look;

/// Time between two looks for a Secret of the user's or of an issuer's, which is not watched.
const SOON: Duration = Duration::from_secs(5);

/// Brings one shop closer to what it says.
pub async fn reconcile(ctx: &Context, shop: &Storefront) -> Result<Outcome, Error> {
    if shop.metadata.deletion_timestamp.is_some() {
        return teardown::end(ctx, shop).await;
    }
    if shop.spec.paused {
        let (seen, whose) = look(ctx, shop).await?;
        let next = (whose.as_slice(), Outcome::AwaitChange);
        return tell(ctx, shop, &Story::Paused(&seen), "paused", next).await;
    }
    let seen = observe(ctx, shop).await?;
    let valid = match validate(shop, seen, &ctx.platform) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => {
            let (seen, whose) = look(ctx, shop).await?;
            let next = (whose.as_slice(), Outcome::Requeue(SOON));
            return tell(ctx, shop, &Story::Waiting(&on, &seen), "waiting", next).await;
        }
        Verdict::Invalid(why) => {
            let (seen, whose) = look(ctx, shop).await?;
            let next = (whose.as_slice(), Outcome::AwaitChange);
            return tell(ctx, shop, &Story::Invalid(&why, &seen), "invalid", next).await;
        }
    };
    ctx.add_finalizer(shop, FINALIZER).await?;
    let plan = desired(&valid);
    let mut applied = ctx.apply(&plan).await?;
    ctx.prune(&shop.uid().unwrap_or_default(), &plan).await?;
    let whose = ask(ctx, shop, Some(&valid), &mut applied).await;
    let now = ctx.now();
    let outcome = Story::Applied {
        valid: &valid,
        objects: &applied,
    };
    let new = status(shop, &outcome, now);
    ctx.report_status(shop, &new).await?;
    let next = next_look(&whose, &new.conditions, now);
    let complete = valid.missing().is_empty();
    let outcome = if complete { "applied" } else { "waiting" };
    ctx.metrics.outcome("Storefront", outcome);
    if complete && !valid.awaits_certificate() {
        Ok(next)
    } else {
        Ok(next.sooner(Outcome::Requeue(SOON)))
    }
}

/// Looks at the parts that there are, and makes none.
async fn look(ctx: &Context, shop: &Storefront) -> Result<(Objects<Applied>, Vec<PodsOf>), Error> {
    let mut seen = ctx.apply(&children(shop)).await?;
    let whose = ask(ctx, shop, None, &mut seen).await;
    Ok((seen, whose))
}

async fn ask(
    ctx: &Context,
    shop: &Storefront,
    valid: Option<&Valid>,
    seen: &mut Objects<Applied>,
) -> Vec<PodsOf> {
    let whose = unready(shop, valid, seen);
    let namespace = shop.namespace().unwrap_or_default();
    ctx.ask_pods(&namespace, &whose, seen).await;
    whose
}

/// Ends a look that made nothing.
async fn tell(
    ctx: &Context,
    shop: &Storefront,
    story: &Story<'_, Valid>,
    outcome: &'static str,
    (whose, next): (&[PodsOf], Outcome),
) -> Result<Outcome, Error> {
    let now = ctx.now();
    let new = status(shop, story, now);
    ctx.report_status(shop, &new).await?;
    ctx.metrics.outcome("Storefront", outcome);
    Ok(next_look(whose, &new.conditions, now).sooner(next))
}
