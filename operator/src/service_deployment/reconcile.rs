//! The story of one workload: look, decide, make, tell.

use std::time::Duration;

use crds::ServiceDeployment;
use kube::ResourceExt;
use operator_plan::service_deployment::{desired, status, unready, validate};
use operator_plan::{Outcome as Story, Verdict};

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
    if service.spec.paused
        || seen
            .storefront
            .as_ref()
            .is_some_and(|shop| shop.spec.paused)
    {
        return tell(ctx, service, &Story::Paused, "paused", Outcome::AwaitChange).await;
    }
    let valid = match validate(service, &seen, &ctx.platform) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => {
            let next = Outcome::Requeue(SOON);
            return tell(ctx, service, &Story::Waiting(&on), "waiting", next).await;
        }
        Verdict::Invalid(why) => {
            let next = Outcome::AwaitChange;
            return tell(ctx, service, &Story::Invalid(&why), "invalid", next).await;
        }
    };
    let plan = desired(&valid);
    let mut applied = ctx.apply(&plan).await?;
    ctx.prune(&service.uid().unwrap_or_default(), &plan).await?;
    let whose = unready(&valid, &applied);
    let namespace = service.namespace().unwrap_or_default();
    ctx.ask_pods(&namespace, &whose, &mut applied).await;
    let now = ctx.now();
    let new = status(service, &Story::Applied(&applied), Some(&valid), now);
    ctx.report_status(service, &new).await?;
    ctx.metrics.outcome("ServiceDeployment", "applied");
    Ok(next_look(&whose, &new.conditions, now))
}

/// Ends a look that made nothing.
async fn tell(
    ctx: &Context,
    service: &ServiceDeployment,
    story: &Story<'_>,
    outcome: &'static str,
    next: Outcome,
) -> Result<Outcome, Error> {
    ctx.report_status(service, &status(service, story, None, ctx.now()))
        .await?;
    ctx.metrics.outcome("ServiceDeployment", outcome);
    Ok(next)
}
