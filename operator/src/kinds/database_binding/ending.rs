//! The deletion of a binding: check whether there is a server, dump if that was asked for, remove what
//! was provisioned, and only then release the object.

use crds::{DatabaseBinding, DeletionPolicy};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use kube_cache::Key;
use operator_plan::database_binding::{
    ABANDON, BackupState, FINALIZER, Observed, Progress, Valid, backup, backup_state, end_policy,
    is_abandoned, owns_database, renewed, rotation, status,
};
use operator_plan::{Invalid, Verdict, Waiting, leaving};

use super::admin_session::AdminSession;
use super::endpoint::Endpoint;
use super::error::Stop;
use super::intervals::{AT_ONCE, LATER, SOON};
use super::provision::provision;
use super::reclaim::{End, after_failure, before_asking, reclaim};
use super::rotate::{Settled, take_over};
use super::secret::InUse;
use super::server::Servers;
use super::{KIND, secret};
use crate::context::Context;
use crate::error::{Error, code};
use crate::next::Next;

/// Reason of a binding whose dump is being taken.
const BACKING_UP: &str = "BackingUp";

/// Ends a binding. One without our finalizer has been ended; somebody else still keeps it.
pub(super) async fn end(
    ctx: &Context,
    servers: &dyn Servers,
    binding: &DatabaseBinding,
    seen: &Observed,
) -> Result<Next, Error> {
    if !binding.finalizers().iter().any(|held| held == FINALIZER) {
        report(
            ctx,
            binding,
            "Deleting",
            &leaving::ending(&binding.metadata),
        )
        .await?;
        return Ok(Next::AwaitChange);
    }
    ctx.metrics.outcome(KIND, "deleting");
    let end = match before_asking(binding, seen, ctx.now()) {
        Err(end) => end,
        Ok(valid) => match (Ending {
            ctx,
            servers,
            binding,
            seen,
            valid: &valid,
        })
        .remove()
        .await
        {
            Ok(end) => end,
            Err(Stop::Api(error)) => return Err(error),
            Err(Stop::Server(failure)) => {
                let Some(end) = after_failure(binding, seen, ctx.now(), &failure) else {
                    report(ctx, binding, failure.reason(), &failure.to_string()).await?;
                    return Err(Error::other(failure));
                };
                end
            }
        },
    };
    match given_up(ctx, binding, seen, end).await? {
        End::Held { reason, message }
        | End::Silent {
            reason, message, ..
        } => {
            report(ctx, binding, reason, &message).await?;
            Ok(Next::Requeue(if reason == BACKING_UP {
                SOON
            } else {
                LATER
            }))
        }
        End::Again => Ok(Next::Requeue(AT_ONCE)),
        End::Reclaimed(what) => {
            secret::remove_all(ctx, binding).await?;
            ctx.events
                .normal(binding, "Reclaimed", "Delete", what)
                .await;
            release(ctx, binding).await
        }
        End::Abandoned(why) => {
            secret::remove_all(ctx, binding).await?;
            ctx.events
                .warning(binding, "Abandoned", "Delete", why)
                .await;
            release(ctx, binding).await
        }
    }
}

/// What cannot be ended as its policy says is let go where somebody asks for that. Nobody can mend anything in a
/// namespace that is being deleted, and it waits for this object.
async fn given_up(
    ctx: &Context,
    binding: &DatabaseBinding,
    seen: &Observed,
    end: End,
) -> Result<End, Error> {
    let what_stops = match &end {
        End::Silent { why, .. } => Some(why),
        End::Held { reason, message } if *reason != BACKING_UP => Some(message),
        End::Held { .. } | End::Again | End::Reclaimed(_) | End::Abandoned(_) => None,
    };
    if let Some(why) = what_stops.filter(|_| is_abandoned(binding, seen)) {
        return Ok(End::Abandoned(format!(
            "{why}; the annotation {ABANDON} lets it go"
        )));
    }
    let End::Silent { why, .. } = &end else {
        return Ok(end);
    };
    let namespace = binding.namespace().unwrap_or_default();
    Ok(if is_ending(ctx, &namespace).await? {
        End::Abandoned(format!("{why}; the namespace is being deleted"))
    } else {
        end
    })
}

/// Whether a namespace is being deleted: then it takes no new objects. That needs no right to read
/// namespaces, and nothing is made.
async fn is_ending(ctx: &Context, namespace: &str) -> Result<bool, Error> {
    let mut attempt = Secret::default();
    attempt.metadata.name = Some("storefront-attempt".into());
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let secrets = Api::<Secret>::namespaced(ctx.client.clone(), namespace);
    match secrets.create(&params, &attempt).await {
        Ok(_) => Ok(false),
        Err(error) if code(&error) == Some(409) => Ok(false),
        Err(source) => {
            let error = Error::api("try to create a Secret in", namespace.to_owned(), source);
            if error.is_namespace_terminating() {
                Ok(true)
            } else {
                Err(error)
            }
        }
    }
}

/// Releases the object. The Secrets went before: a new object of this name must not find an old one.
async fn release(ctx: &Context, binding: &DatabaseBinding) -> Result<Next, Error> {
    ctx.finalizers.remove(binding, FINALIZER).await?;
    // What this process wrote is no news to it, and who else keeps the object is still to be said.
    let is_kept = binding.finalizers().iter().any(|held| held != FINALIZER);
    Ok(if is_kept {
        Next::Requeue(AT_ONCE)
    } else {
        Next::AwaitChange
    })
}

/// The end of a binding whose server can be asked.
struct Ending<'a> {
    ctx: &'a Context,
    servers: &'a dyn Servers,
    binding: &'a DatabaseBinding,
    seen: &'a Observed,
    valid: &'a Valid,
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

impl Ending<'_> {
    async fn remove(&self) -> Result<End, Stop> {
        let endpoint = Endpoint::from(&self.valid.server);
        let statements = &self.ctx.metrics.sql_statements;
        let mut session = AdminSession::open(self.servers, &endpoint, statements).await?;
        let end = self.remove_at(&mut session).await;
        session.close().await;
        end
    }

    async fn remove_at(&self, session: &mut AdminSession) -> Result<End, Stop> {
        let (binding, wanted) = (self.binding, &self.valid.wanted);
        let mut policy = end_policy(binding, self.seen);
        let status = binding.status.as_ref();
        let is_dumped = status.is_some_and(|status| status.backup.is_some());
        if policy == DeletionPolicy::BackupThenDelete
            && !is_dumped
            && owns_database(wanted, &session.read(wanted).await?)
        {
            match self.back_up(session).await? {
                Backup::Done => {}
                Backup::Held(end) => return Ok(end),
                Backup::Impossible => policy = DeletionPolicy::Retain,
            }
        }
        Ok(reclaim(session, wanted, policy).await?)
    }

    async fn back_up(&self, session: &mut AdminSession) -> Result<Backup, Stop> {
        let Self {
            ctx,
            binding,
            seen,
            valid,
            ..
        } = *self;
        let wanted = &valid.wanted;
        let shop = seen.storefront.as_deref().or(seen.owner.as_deref());
        let plan = backup(binding, wanted, &ctx.platform, shop);
        let name = &plan.job;
        let key = Key::new(wanted.mark.namespace.clone(), name.clone());
        let job = ctx.reader.job(&key).await?;
        match backup_state(wanted, job.as_deref()) {
            BackupState::Done(done) => {
                // Written before anything is dropped: the status is the proof that it may be.
                let message = format!("the dump is in {}", done.volume_claim);
                let progress = Progress::Deleting {
                    reason: "BackedUp",
                    message: &message,
                };
                let mut new = status(binding, Some(wanted), progress, ctx.now());
                new.backup = Some(done);
                ctx.statuses.report(binding, &new).await?;
                Ok(Backup::Done)
            }
            BackupState::Absent => {
                if self.credentials(session).await? {
                    return Ok(Backup::Held(End::Again));
                }
                match ctx.applier.apply(&plan.objects).await {
                    Ok(_) => Ok(Backup::Held(dumping(name))),
                    Err(error) if error.is_namespace_terminating() => {
                        let note = "the namespace is being deleted and takes no backup Job: the database stays on its server";
                        ctx.events
                            .warning(binding, "BackupImpossible", "Delete", note)
                            .await;
                        Ok(Backup::Impossible)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            BackupState::Running => Ok(Backup::Held(dumping(name))),
            BackupState::Failed => Ok(Backup::Held(End::Held {
                reason: "BackupFailed",
                message: format!(
                    "Job {name} could not dump the database, so nothing is dropped: see its logs and delete it to try again, or set spec.reclaimPolicy to Retain or Delete"
                ),
            })),
        }
    }

    /// Makes sure that the Job can log in. Returns whether other credentials took the place of lost ones: then the
    /// status names them, and what was read before is out of date.
    async fn credentials(&self, session: &mut AdminSession) -> Result<bool, Stop> {
        let Self {
            ctx,
            servers,
            binding,
            valid,
            ..
        } = *self;
        if let InUse::Good(password) = secret::in_use(ctx, binding, valid).await? {
            provision(session, servers, valid, &password).await?;
            return Ok(false);
        }
        let mut lost = valid.clone();
        lost.wanted.lost = true;
        let mut new = binding.status.clone().unwrap_or_default();
        new.rotation = rotation(binding, &lost.wanted, ctx.now());
        ctx.statuses.write(binding, &new).await?;
        let settled = Settled::of(lost, new.rotation);
        match take_over(session, ctx, servers, binding, settled).await? {
            Verdict::Ready(settled) => {
                let new = renewed(binding, &settled.valid.wanted, settled.rotation.as_ref());
                ctx.statuses.write(binding, &new).await?;
                Ok(true)
            }
            Verdict::Waiting(Waiting { message, .. })
            | Verdict::Invalid(Invalid { message, .. }) => {
                Err(Stop::Api(Error::other(CredentialsError(message))))
            }
        }
    }
}

fn dumping(job: &str) -> End {
    End::Held {
        reason: BACKING_UP,
        message: format!("Job {job} dumps the database before it is dropped"),
    }
}

/// No credentials could be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to make credentials for the dump: {0}")]
struct CredentialsError(String);

async fn report(
    ctx: &Context,
    binding: &DatabaseBinding,
    reason: &'static str,
    message: &str,
) -> Result<(), Error> {
    let progress = Progress::Deleting { reason, message };
    ctx.statuses
        .report(binding, &status(binding, None, progress, ctx.now()))
        .await
}
