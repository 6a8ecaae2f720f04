//! The story of one workload: look, decide, make, tell.

use std::time::Duration;

use crds::ServiceDeployment;
use kube::ResourceExt;
use operator_plan::service_deployment::{Valid, children, desired, status, unready, validate};
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, Objects, Outcome as Story, Verdict};

use super::observe::observe;
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::pods::next_look;

/// Time between two looks for what is not watched, such as a Secret.
const SOON: Duration = Duration::from_secs(5);

/// Brings one workload closer to what it says.
pub async fn reconcile(ctx: &Context, service: &ServiceDeployment) -> Result<Outcome, Error> {
    if service.metadata.deletion_timestamp.is_some() {
        // Everything it has is inside the cluster: ownership cleans up.
        return Ok(Outcome::AwaitChange);
    }
    let seen = observe(ctx, service).await?;
    let is_paused = |shop: &crds::Storefront| shop.spec.paused;
    if service.spec.paused || seen.storefront.as_ref().is_some_and(is_paused) {
        let (seen, whose) = look(ctx, service).await?;
        let next = (whose.as_slice(), Outcome::AwaitChange);
        return tell(ctx, service, &Story::Paused(&seen), "paused", next).await;
    }
    let valid = match validate(service, &seen, &ctx.platform) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => {
            let (seen, whose) = look(ctx, service).await?;
            let next = (whose.as_slice(), Outcome::Requeue(SOON));
            return tell(ctx, service, &Story::Waiting(&on, &seen), "waiting", next).await;
        }
        Verdict::Invalid(why) => {
            let (seen, whose) = look(ctx, service).await?;
            let next = (whose.as_slice(), Outcome::AwaitChange);
            return tell(ctx, service, &Story::Invalid(&why, &seen), "invalid", next).await;
        }
    };
    let plan = desired(&valid);
    let mut applied = ctx.apply(&plan).await?;
    ctx.prune(&service.uid().unwrap_or_default(), &plan).await?;
    let whose = ask(ctx, service, Some(&valid), &mut applied).await;
    let now = ctx.now();
    let outcome = Story::Applied {
        valid: &valid,
        objects: &applied,
    };
    let new = status(service, &outcome, now);
    ctx.report_status(service, &new).await?;
    ctx.metrics.outcome("ServiceDeployment", "applied");
    Ok(next_look(&whose, &new.conditions, now))
}

/// Looks at the parts that there are, and makes none.
async fn look(
    ctx: &Context,
    service: &ServiceDeployment,
) -> Result<(Objects<Applied>, Vec<PodsOf>), Error> {
    let mut seen = ctx.apply(&children(service)).await?;
    let whose = ask(ctx, service, None, &mut seen).await;
    Ok((seen, whose))
}

async fn ask(
    ctx: &Context,
    service: &ServiceDeployment,
    valid: Option<&Valid>,
    seen: &mut Objects<Applied>,
) -> Vec<PodsOf> {
    let whose = unready(service, valid, seen);
    let namespace = service.namespace().unwrap_or_default();
    ctx.ask_pods(&namespace, &whose, seen).await;
    whose
}

/// Ends a look that made nothing.
async fn tell(
    ctx: &Context,
    service: &ServiceDeployment,
    story: &Story<'_, Valid>,
    outcome: &'static str,
    (whose, next): (&[PodsOf], Outcome),
) -> Result<Outcome, Error> {
    let now = ctx.now();
    let new = status(service, story, now);
    ctx.report_status(service, &new).await?;
    ctx.metrics.outcome("ServiceDeployment", outcome);
    Ok(next_look(whose, &new.conditions, now).sooner(next))
}
