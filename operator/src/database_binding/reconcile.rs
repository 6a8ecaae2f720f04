//! The story of one binding: look, decide, make, tell.
//!
//! Order of effects, so that a kill between any two leaves nothing unnamed or unowned:
//! marks read, finalizer, intent in the status, Secret, SQL, rotation, status.

use std::time::Duration;

use crds::DatabaseBinding;
use kube::ResourceExt;
use operator_plan::database_binding::{
    FINALIZER, Progress, Valid, Wanted, intent, next_step, status, validate,
};
use operator_plan::{Invalid, Verdict, Waiting, conditions};

use super::desk::Desk;
use super::ending::end;
use super::error::{ServerError, Stop};
use super::provision::{Entry, enter, provision};
use super::rotate::{Found, Settled, rotate};
use super::server::Endpoint;
use super::{KIND, observe, secret};
use crate::context::Context;
use crate::error::{Error, Outcome};

/// Time between two looks at a binding that is as it should be; up to a fifth is added by its uid,
/// so that bindings made together do not audit together.
const RESYNC: Duration = Duration::from_secs(300);
/// Time between two looks for what is not watched, such as a server that starts.
pub(super) const SOON: Duration = Duration::from_secs(3);
/// The same, when somebody has to act first.
pub(super) const LATER: Duration = Duration::from_secs(15);
/// The shortest wait for the next step of a rotation: its time may come while this look ends.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Brings one binding closer to what it says.
pub async fn reconcile(cached: &DatabaseBinding, ctx: &Context) -> Result<Outcome, Error> {
    let Some(binding) = observe::current(ctx, cached).await? else {
        return Ok(Outcome::AwaitChange);
    };
    let leaving = binding.metadata.deletion_timestamp.is_some();
    if leaving
        && !binding
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
    {
        return Ok(Outcome::AwaitChange);
    }
    let seen = observe::observe(ctx, &binding).await?;
    if leaving {
        return end(ctx, &binding, &seen).await;
    }
    if seen
        .storefront
        .as_ref()
        .is_some_and(|shop| shop.spec.paused)
    {
        return Ok(Outcome::AwaitChange);
    }
    let valid = match validate(&binding, &seen) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => return wait(ctx, &binding, None, &on).await,
        Verdict::Invalid(why) => return refuse(ctx, &binding, None, &why).await,
    };
    let wanted = Some(&valid.wanted);
    match make(ctx, &binding, &valid).await {
        Ok(Verdict::Ready(settled)) => settle(ctx, &binding, settled).await,
        Ok(Verdict::Waiting(on)) => wait(ctx, &binding, wanted, &on).await,
        Ok(Verdict::Invalid(why)) => refuse(ctx, &binding, wanted, &why).await,
        Err(Stop::Api(error)) => Err(error),
        Err(Stop::Server(failure)) => fail(ctx, &binding, wanted, failure).await,
    }
}

/// Everything between the decision to make something and the look that finds nothing missing.
async fn make(
    ctx: &Context,
    binding: &DatabaseBinding,
    valid: &Valid,
) -> Result<Verdict<Settled>, Stop> {
    let endpoint = Endpoint::from(&valid.server);
    let statements = &ctx.metrics.sql_statements;
    let mut desk = Desk::open(ctx.servers.as_ref(), &endpoint, statements).await?;
    let made = make_at(&mut desk, ctx, binding, valid).await;
    desk.leave().await;
    made
}

async fn make_at(
    desk: &mut Desk,
    ctx: &Context,
    binding: &DatabaseBinding,
    valid: &Valid,
) -> Result<Verdict<Settled>, Stop> {
    match enter(desk, valid).await? {
        Entry::Granted => {}
        Entry::Waits(on) => return Ok(Verdict::Waiting(Waiting::new("DatabaseNotFound", on))),
        Entry::Refused(why) => return Ok(Verdict::Invalid(Invalid::new("NotOurs", why))),
    }
    ctx.add_finalizer(binding, FINALIZER).await?;
    let intended = intent(binding, &valid.wanted, ctx.now());
    ctx.patch_status(binding, &intended).await?;
    let password = match secret::hold(ctx, binding, valid).await? {
        Verdict::Ready(password) => password,
        Verdict::Waiting(on) => return Ok(Verdict::Waiting(on)),
        Verdict::Invalid(why) => return Ok(Verdict::Invalid(why)),
    };
    let seen = provision(desk, ctx.servers.as_ref(), valid, &password).await?;
    let found = Found {
        valid,
        seen,
        rotation: intended.rotation,
    };
    rotate(desk, ctx, binding, found).await
}

async fn settle(
    ctx: &Context,
    binding: &DatabaseBinding,
    settled: Settled,
) -> Result<Outcome, Error> {
    let Settled {
        valid,
        rotation,
        repaired,
        news,
    } = settled;
    let was_ready = binding.status.as_ref().is_some_and(|status| {
        conditions::is_ready(&status.conditions, binding.metadata.generation)
    });
    let progress = Progress::Done(rotation.as_ref());
    let new = status(binding, Some(&valid.wanted), progress, ctx.now());
    ctx.report_status(binding, &new).await?;
    ctx.metrics.outcome(KIND, "applied");
    if was_ready && !repaired.is_empty() {
        let note = format!("put right on the server: {}", repaired.join(", "));
        ctx.warn(binding, "DriftRepaired", "Reconcile", note).await;
    }
    if let Some((reason, note)) = news {
        ctx.tell(binding, reason, "Rotate", note).await;
    }
    let routine = resync(binding);
    let step = next_step(binding, rotation.as_ref(), ctx.now());
    Ok(Outcome::Requeue(
        step.map_or(routine, |step| step.max(AT_ONCE).min(routine)),
    ))
}

async fn wait(
    ctx: &Context,
    binding: &DatabaseBinding,
    wanted: Option<&Wanted>,
    on: &Waiting,
) -> Result<Outcome, Error> {
    let new = status(binding, wanted, Progress::Waiting(on), ctx.now());
    ctx.report_status(binding, &new).await?;
    ctx.metrics.outcome(KIND, "waiting");
    Ok(Outcome::Requeue(SOON))
}

async fn refuse(
    ctx: &Context,
    binding: &DatabaseBinding,
    wanted: Option<&Wanted>,
    why: &Invalid,
) -> Result<Outcome, Error> {
    let new = status(binding, wanted, Progress::Invalid(why), ctx.now());
    ctx.report_status(binding, &new).await?;
    ctx.metrics.outcome(KIND, "invalid");
    // The remedy may lie on the server, which nobody watches.
    Ok(Outcome::Requeue(RESYNC))
}

async fn fail(
    ctx: &Context,
    binding: &DatabaseBinding,
    wanted: Option<&Wanted>,
    failure: ServerError,
) -> Result<Outcome, Error> {
    // Busy says nothing about the binding, only about the moment.
    if !matches!(failure, ServerError::Busy { .. }) {
        let message = failure.to_string();
        let progress = Progress::Failed {
            reason: failure.reason(),
            message: &message,
        };
        let new = status(binding, wanted, progress, ctx.now());
        ctx.report_status(binding, &new).await?;
        ctx.metrics.outcome(KIND, "failed");
    }
    match failure {
        // A server that starts, or is away: a steady beat finds it sooner than a growing backoff.
        ServerError::Unreachable { .. } | ServerError::Busy { .. } => Ok(Outcome::Requeue(SOON)),
        ServerError::Denied { .. } => Ok(Outcome::Requeue(LATER)),
        other => Err(Error::other(other)),
    }
}

fn resync(binding: &DatabaseBinding) -> Duration {
    let spread: u32 = binding
        .uid()
        .unwrap_or_default()
        .bytes()
        .map(u32::from)
        .sum();
    RESYNC + RESYNC * (spread % 100) / 500
}
