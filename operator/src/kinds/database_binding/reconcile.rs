//! One binding: observe, validate, make, report.
//!
//! Order of effects, so that a kill between any two leaves nothing unnamed or unowned:
//! marks read, finalizer, intent in the status, Secret, SQL, rotation, status.

use std::sync::Arc;
use std::time::Duration;

use crds::{Condition, DatabaseBinding};
use kube::ResourceExt;
use operator_plan::database_binding::{
    FINALIZER, Observed, Progress, Valid, Wanted, awaits_server, effective, emptied,
    held_by_others, intent, may_create, next_step, remedy, revoke, status, validate,
};
use operator_plan::service_deployment::bindings_of;
use operator_plan::{Invalid, Verdict, Waiting, conditions};

use super::admin_session::AdminSession;
use super::consent::consent;
use super::ending::end;
use super::endpoint::Endpoint;
use super::error::{ServerError, Stop};
use super::intervals::{AT_ONCE, LATER, SOON};
use super::provision::{Entry, enter, provision};
use super::rotate::{Found, Settled, rotate, take_over};
use super::secret::InUse;
use super::server::Servers;
use super::{KIND, observe, secret};
use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::{next, subscriber};
use crate::next::Next;

/// Time between two audits of a binding that is as it should be; up to a fifth is added by its uid,
/// so that bindings made together do not audit together.
const RESYNC: Duration = Duration::from_secs(300);

/// Reconciles one binding.
pub async fn reconcile(
    ctx: &Context,
    servers: &dyn Servers,
    seen: &Arc<DatabaseBinding>,
) -> Result<Next, Error> {
    let Some(binding) = observe::current(ctx, seen).await? else {
        return Ok(Next::AwaitChange);
    };
    let is_deleted = binding.metadata.deletion_timestamp.is_some();
    let observed = observe::observe(ctx, &binding).await?;
    let binding = effective(binding, &observed);
    if is_deleted && held_by_others(&binding, &observed).is_none() {
        return end(ctx, servers, &binding, &observed).await;
    }
    let shop = observed.storefront.as_ref();
    if shop.is_some_and(|shop| shop.spec.paused) {
        return Ok(Next::AwaitChange);
    }
    let mut valid = match validate(&binding, &observed) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => {
            wait(ctx, &binding, None, &on).await?;
            return Ok(next(ctx, &subscriber(&*binding)));
        }
        Verdict::Invalid(why) => return refuse(ctx, &binding, None, &why).await,
    };
    if let Some(on) = awaits_server(&binding, &observed) {
        wait(ctx, &binding, None, &on).await?;
        return Ok(next(ctx, &subscriber(&*binding)));
    }
    let held = secret::in_use(ctx, &binding, &valid).await?;
    valid.wanted.lost = matches!(held, InUse::Lost);
    let made = make(ctx, servers, &binding, &mut valid, held).await;
    let wanted = Some(&valid.wanted);
    match made {
        Ok(Verdict::Ready(settled)) => settle(ctx, &binding, &observed, settled).await,
        Ok(Verdict::Waiting(on)) => {
            wait(ctx, &binding, wanted, &on).await?;
            Ok(Next::Requeue(SOON))
        }
        Ok(Verdict::Invalid(why)) => refuse(ctx, &binding, wanted, &why).await,
        Err(Stop::Api(error)) => Err(error),
        Err(Stop::Server(failure)) => {
            let message = failure.to_string();
            let told = (failure.reason(), message.as_str());
            let message = remedy(&binding, observed.storefront.as_deref(), told);
            fail(ctx, &binding, (wanted, &message), failure).await
        }
    }
}

/// Everything between the decision to make something and the audit that finds nothing missing.
async fn make(
    ctx: &Context,
    servers: &dyn Servers,
    binding: &Arc<DatabaseBinding>,
    valid: &mut Valid,
    held: InUse,
) -> Result<Verdict<Settled>, Stop> {
    let endpoint = Endpoint::from(&valid.server);
    let statements = &ctx.metrics.sql_statements;
    let mut session = AdminSession::open(servers, &endpoint, statements).await?;
    // Its state is large, and would be part of everything that waits for it.
    let made = Box::pin(make_in(&mut session, ctx, servers, binding, (valid, held))).await;
    session.close().await;
    made
}

async fn make_in(
    session: &mut AdminSession,
    ctx: &Context,
    servers: &dyn Servers,
    binding: &Arc<DatabaseBinding>,
    (valid, held): (&mut Valid, InUse),
) -> Result<Verdict<Settled>, Stop> {
    let seen = match enter(session, valid).await? {
        Entry::Granted(seen) => seen,
        Entry::Shared(owner, seen) => {
            if let Err(why) = consent(ctx, binding, &owner).await? {
                session.run(&revoke(&valid.wanted, &seen)).await?;
                return Ok(Verdict::Invalid(why));
            }
            seen
        }
        Entry::Waits(on) => return Ok(Verdict::Waiting(Waiting::new("DatabaseNotFound", on))),
        Entry::Refused(why) => return Ok(Verdict::Invalid(Invalid::new("NotOurs", why))),
    };
    match may_create(binding, &valid.wanted, &seen) {
        Ok(None) => {}
        Ok(recreation) => valid.wanted.recreation = recreation,
        Err(why) => return Ok(Verdict::Invalid(why)),
    }
    // One that is being deleted takes none.
    if binding.metadata.deletion_timestamp.is_none() {
        ctx.finalizers.add(&**binding, FINALIZER).await?;
    }
    let intended = intent(binding, &valid.wanted, ctx.now());
    ctx.statuses.write(&**binding, &intended).await?;
    let password = match held {
        InUse::Good(password) => password,
        InUse::Lost => {
            let settled = Settled::of(valid.clone(), intended.rotation);
            return take_over(session, ctx, servers, binding, settled).await;
        }
        InUse::None => match secret::hold(ctx, binding, valid).await? {
            Verdict::Ready(password) => password,
            Verdict::Waiting(on) => return Ok(Verdict::Waiting(on)),
            Verdict::Invalid(why) => return Ok(Verdict::Invalid(why)),
        },
    };
    let (seen, within) = provision(session, servers, valid, &password).await?;
    let has_run = is_migrated(ctx, binding);
    let emptied = within.and_then(|within| emptied(&valid.wanted, &within, has_run));
    if let Some(found) = emptied {
        if found.empty {
            let database = &valid.wanted.names.database;
            let note =
                format!("database {database} has no table any more: its migrations run again");
            ctx.events
                .warning(&**binding, "TablesLost", "Reconcile", note)
                .await;
        }
        valid.wanted.recreation = Some(found);
    }
    let found = Found {
        valid,
        seen,
        rotation: intended.rotation,
    };
    rotate(session, ctx, servers, binding, found).await
}

/// Whether a migration has run in the database: some workload that is bound to it says so.
fn is_migrated(ctx: &Context, binding: &DatabaseBinding) -> bool {
    let namespace = binding.namespace().unwrap_or_default();
    let services = ctx.caches.service_deployments.store.objects_in(&namespace);
    services.iter().any(|service| {
        let is_bound = bindings_of(service).contains(&binding.name_any());
        let status = service.status.as_ref().filter(|_| is_bound);
        status.is_some_and(|status| {
            let migrated = conditions::find(&status.conditions, "Migrated");
            status.migrated.is_some() && migrated.is_some_and(Condition::is_true)
        })
    })
}

async fn settle(
    ctx: &Context,
    binding: &DatabaseBinding,
    seen: &Observed,
    settled: Settled,
) -> Result<Next, Error> {
    let Settled {
        valid,
        rotation,
        repaired,
        news,
    } = settled;
    let was_ready = binding.status.as_ref().is_some_and(|status| {
        conditions::is_ready(&status.conditions, binding.metadata.generation)
    });
    let held = held_by_others(binding, seen);
    let progress = match &held {
        Some(message) => Progress::Held {
            rotation: rotation.as_ref(),
            message,
        },
        None => Progress::Done(rotation.as_ref()),
    };
    let new = status(binding, Some(&valid.wanted), progress, ctx.now());
    ctx.statuses.report(binding, &new).await?;
    ctx.metrics.outcome(KIND, "applied");
    if was_ready && !repaired.is_empty() {
        let note = format!("repaired on the server: {}", repaired.join(", "));
        ctx.events
            .warning(binding, "DriftRepaired", "Reconcile", note)
            .await;
    }
    if let Some((reason, note)) = news {
        ctx.events.normal(binding, reason, "Rotate", note).await;
    }
    let routine = resync(binding);
    let step = next_step(binding, rotation.as_ref(), ctx.now());
    Ok(Next::Requeue(
        step.map_or(routine, |step| step.max(AT_ONCE).min(routine)),
    ))
}

async fn wait(
    ctx: &Context,
    binding: &DatabaseBinding,
    wanted: Option<&Wanted>,
    on: &Waiting,
) -> Result<(), Error> {
    let new = status(binding, wanted, Progress::Waiting(on), ctx.now());
    ctx.statuses.report(binding, &new).await?;
    ctx.metrics.outcome(KIND, "waiting");
    Ok(())
}

async fn refuse(
    ctx: &Context,
    binding: &DatabaseBinding,
    wanted: Option<&Wanted>,
    why: &Invalid,
) -> Result<Next, Error> {
    let new = status(binding, wanted, Progress::Invalid(why), ctx.now());
    ctx.statuses.report(binding, &new).await?;
    ctx.metrics.outcome(KIND, "invalid");
    // The remedy may lie on the server, which nobody watches.
    Ok(Next::Requeue(RESYNC))
}

async fn fail(
    ctx: &Context,
    binding: &DatabaseBinding,
    (wanted, message): (Option<&Wanted>, &str),
    failure: ServerError,
) -> Result<Next, Error> {
    // Busy says nothing about the binding, only about the moment.
    if !matches!(failure, ServerError::Busy { .. }) {
        let progress = Progress::Failed {
            reason: failure.reason(),
            message,
        };
        let new = status(binding, wanted, progress, ctx.now());
        ctx.statuses.report(binding, &new).await?;
        ctx.metrics.outcome(KIND, "failed");
    }
    match failure {
        // A server that starts, or is away: a fixed interval finds it sooner than a growing backoff.
        ServerError::Unreachable { .. } | ServerError::Busy { .. } => Ok(Next::Requeue(SOON)),
        ServerError::Denied { .. } => Ok(Next::Requeue(LATER)),
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
