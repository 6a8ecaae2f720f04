//! The story of a binding's end: ask whether there is a server, dump if that was asked for, take
//! away what was made, and only then let the object go.

use crds::{DatabaseBinding, DeletionPolicy};
use k8s_openapi::api::batch::v1::Job;
use operator_plan::database_binding::{
    BackupState, FINALIZER, Observed, Progress, Valid, backup, backup_job_name, backup_state,
    owns_database, status,
};
use operator_plan::storefront::running_version;

use super::desk::Desk;
use super::error::Stop;
use super::reclaim::{End, after_failure, before_asking, reclaim};
use super::reconcile::{LATER, SOON};
use super::server::Endpoint;
use super::{KIND, secret};
use crate::context::Context;
use crate::error::{Error, Outcome};

/// Reason of a binding whose dump is being taken.
const BACKING_UP: &str = "BackingUp";

/// Ends a binding that holds the finalizer.
pub(super) async fn end(
    ctx: &Context,
    binding: &DatabaseBinding,
    seen: &Observed,
) -> Result<Outcome, Error> {
    ctx.metrics.outcome(KIND, "deleting");
    let end = match before_asking(binding, seen, ctx.now()) {
        Err(end) => end,
        Ok(valid) => match take_away(ctx, binding, seen, &valid).await {
            Ok(end) => end,
            Err(Stop::Api(error)) => return Err(error),
            Err(Stop::Server(failure)) => {
                let Some(end) = after_failure(binding, seen, ctx.now(), &failure) else {
                    tell(ctx, binding, failure.reason(), &failure.to_string()).await?;
                    return Err(Error::other(failure));
                };
                end
            }
        },
    };
    match end {
        End::Held { reason, message } => {
            tell(ctx, binding, reason, &message).await?;
            Ok(Outcome::Requeue(if reason == BACKING_UP {
                SOON
            } else {
                LATER
            }))
        }
        End::Reclaimed(what) => {
            secret::remove_all(ctx, binding).await?;
            ctx.tell(binding, "Reclaimed", "Delete", what).await;
            release(ctx, binding).await
        }
        End::Abandoned(why) => {
            secret::remove_all(ctx, binding).await?;
            ctx.warn(binding, "Abandoned", "Delete", why).await;
            release(ctx, binding).await
        }
    }
}

/// Lets the object go. The Secrets went before: a new object of this name must not find an old one.
async fn release(ctx: &Context, binding: &DatabaseBinding) -> Result<Outcome, Error> {
    ctx.remove_finalizer(binding, FINALIZER).await?;
    Ok(Outcome::AwaitChange)
}

async fn take_away(
    ctx: &Context,
    binding: &DatabaseBinding,
    seen: &Observed,
    valid: &Valid,
) -> Result<End, Stop> {
    let endpoint = Endpoint::from(&valid.server);
    let statements = &ctx.metrics.sql_statements;
    let mut desk = Desk::open(ctx.servers.as_ref(), &endpoint, statements).await?;
    let end = take_away_at(&mut desk, ctx, binding, seen, valid).await;
    desk.leave().await;
    end
}

async fn take_away_at(
    desk: &mut Desk,
    ctx: &Context,
    binding: &DatabaseBinding,
    seen: &Observed,
    valid: &Valid,
) -> Result<End, Stop> {
    let mut policy = binding.spec.reclaim_policy;
    let dumped = binding
        .status
        .as_ref()
        .is_some_and(|status| status.backup.is_some());
    if policy == DeletionPolicy::BackupThenDelete
        && !dumped
        && owns_database(&valid.wanted, &desk.look(&valid.wanted).await?)
    {
        match back_up(ctx, binding, seen, valid).await? {
            Backup::Done => {}
            Backup::Held(end) => return Ok(end),
            Backup::Impossible => policy = DeletionPolicy::Retain,
        }
    }
    Ok(reclaim(desk, &valid.wanted, policy).await?)
}

/// How the dump stands.
enum Backup {
    /// It is there, and the status says where.
    Done,
    /// It is not there yet.
    Held(End),
    /// Nothing can be made in a namespace that is being deleted: the data stays on the server.
    Impossible,
}

async fn back_up(
    ctx: &Context,
    binding: &DatabaseBinding,
    seen: &Observed,
    valid: &Valid,
) -> Result<Backup, Error> {
    let wanted = &valid.wanted;
    let name = backup_job_name(wanted);
    let job = ctx.get::<Job>(&wanted.mark.namespace, &name).await?;
    match backup_state(wanted, job.as_ref()) {
        BackupState::Done(done) => {
            // Written before anything is dropped: the status is the proof that it may be.
            let message = format!("the dump is in {}", done.volume_claim);
            let progress = Progress::Deleting {
                reason: "BackedUp",
                message: &message,
            };
            let mut new = status(binding, Some(wanted), progress, ctx.now());
            new.backup = Some(done);
            ctx.report_status(binding, &new).await?;
            Ok(Backup::Done)
        }
        BackupState::Running => {
            let release = match &seen.storefront {
                Some(shop) => running_version(shop, &ctx.platform),
                None => ctx.platform.version.clone(),
            };
            let plan = backup(binding, wanted, &ctx.platform, &release);
            match ctx.apply(&plan).await {
                Ok(_) => Ok(Backup::Held(End::Held {
                    reason: BACKING_UP,
                    message: format!("Job {name} dumps the database before it is dropped"),
                })),
                Err(error) if error.is_namespace_terminating() => {
                    let note = "the namespace is being deleted and takes no backup Job: the database stays on its server";
                    ctx.warn(binding, "BackupImpossible", "Delete", note).await;
                    Ok(Backup::Impossible)
                }
                Err(error) => Err(error),
            }
        }
        BackupState::Failed => Ok(Backup::Held(End::Held {
            reason: "BackupFailed",
            message: format!(
                "Job {name} could not dump the database, so nothing is dropped: see its logs and delete it to try again, or set spec.reclaimPolicy to Retain or Delete"
            ),
        })),
    }
}

async fn tell(
    ctx: &Context,
    binding: &DatabaseBinding,
    reason: &'static str,
    message: &str,
) -> Result<(), Error> {
    let progress = Progress::Deleting { reason, message };
    ctx.report_status(binding, &status(binding, None, progress, ctx.now()))
        .await
}
