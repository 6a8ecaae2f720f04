use crds::{Access, BackupStatus, DeletionPolicy};
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};

use super::{
    Found, Step, Target, Valid, backup,
    backup::backup_volume_name,
    sql::{quote_identifier as id, quote_literal as literal},
};
use crate::{Invalid, Objects, Planned};

/// The next step of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum Reclaim {
    /// Apply these (a volume and a Job), and look again when the Job changes.
    Backup {
        /// The volume and the Job.
        objects: Objects<Planned>,
        /// For the status.
        message: String,
    },
    /// The backup failed for good: nothing is dropped. Stalled until somebody acts.
    Blocked(Invalid),
    /// Run these, then remove the finalizer. Empty: there is nothing of ours on the server.
    Run {
        /// In order.
        steps: Vec<Step>,
        /// The dump that was taken, for an event.
        backup: Option<BackupStatus>,
    },
}

/// Plans the next step of a binding's deletion. Only what carries this binding's mark is touched; a
/// binding that never got as far as a role owns nothing, whatever else has its names.
pub fn reclaim(valid: &Valid, found: &Found, job: Option<&Job>) -> Reclaim {
    let names = &valid.names;
    let marked = |role: &Option<super::RoleFacts>| {
        role.as_ref()
            .is_some_and(|r| r.comment.as_deref() == Some(names.mark_in_use().as_str()))
    };
    let (login, owner) = (marked(&found.login), marked(&found.owner));
    let owns = owner
        && found
            .database
            .as_ref()
            .is_some_and(|d| d.owner == names.owner);
    let drops = owns && valid.binding.spec.access == Access::Owner;
    let run = |steps| Reclaim::Run {
        steps,
        backup: None,
    };
    match valid.binding.spec.reclaim_policy {
        DeletionPolicy::Retain => run(retain(valid, login, owner)),
        DeletionPolicy::Delete => run(drop_all(valid, found, (login, owner, drops))),
        // Without a password there was never a user, so the database is as empty as it was made.
        DeletionPolicy::BackupThenDelete if !drops || !login || valid.password.is_none() => {
            run(drop_all(valid, found, (login, owner, drops)))
        }
        DeletionPolicy::BackupThenDelete => match ended(job) {
            Ended::Well(at) => Reclaim::Run {
                steps: drop_all(valid, found, (login, owner, drops)),
                backup: Some(BackupStatus {
                    volume_claim: backup_volume_name(valid),
                    file: backup::file(valid),
                    completed_at: at,
                }),
            },
            Ended::Badly => Reclaim::Blocked(Invalid::new(
                "BackupFailed",
                format!(
                    "the backup failed, so nothing is dropped: read `kubectl logs job/{}`, then delete the Job to try again, or set spec.reclaimPolicy to Retain or Delete",
                    backup::backup_job_name(valid)
                ),
            )),
            Ended::NotYet => Reclaim::Backup {
                objects: backup::plan(valid),
                message: format!(
                    "waiting for Job {} to dump the database {}",
                    backup::backup_job_name(valid),
                    names.database
                ),
            },
        },
    }
}

enum Ended {
    Well(Option<Time>),
    Badly,
    NotYet,
}

fn ended(job: Option<&Job>) -> Ended {
    let Some(status) = job.and_then(|job| job.status.as_ref()) else {
        return Ended::NotYet;
    };
    let list = status.conditions.as_deref().unwrap_or_default();
    let has = |type_: &str| list.iter().any(|c| c.type_ == type_ && c.status == "True");
    if has("Complete") {
        Ended::Well(status.completion_time.clone())
    } else if has("Failed") {
        Ended::Badly
    } else {
        Ended::NotYet
    }
}

/// Nobody logs in any more, and the marks say for whom the rest is kept.
fn retain(valid: &Valid, login: bool, owner: bool) -> Vec<Step> {
    let names = &valid.names;
    let mark = |role: &str| {
        format!(
            "comment on role {} is {}",
            id(role),
            literal(&names.mark_retained())
        )
    };
    let mut statements = Vec::new();
    if login {
        statements.push(format!(
            "alter role {} nologin password null",
            id(&names.login)
        ));
        statements.push(mark(&names.login));
    }
    if owner {
        statements.push(mark(&names.owner));
    }
    if statements.is_empty() {
        return Vec::new();
    }
    vec![Step::atomic(
        "close the login role, keep the data",
        Target::Maintenance,
        statements,
    )]
}

/// The database first, then the roles, the marked owner role last: until it is gone, a crash finds its way back here.
fn drop_all(valid: &Valid, found: &Found, (login, owner, drops): (bool, bool, bool)) -> Vec<Step> {
    let names = &valid.names;
    let mut steps = Vec::new();
    if login {
        let statement = format!("alter role {} nologin", id(&names.login));
        steps.push(Step::single(
            "close the login role",
            Target::Maintenance,
            statement,
        ));
    }
    if drops {
        let statement = format!(
            "drop database if exists {} with (force)",
            id(&names.database)
        );
        steps.push(Step::single(
            "drop the database",
            Target::Maintenance,
            statement,
        ));
    } else if login && let Some(database) = &found.database {
        // A reader's or writer's leftovers go to the database's owner; its privileges go away.
        let statements = vec![
            format!(
                "reassign owned by {} to {}",
                id(&names.login),
                id(&database.owner)
            ),
            format!("drop owned by {}", id(&names.login)),
        ];
        steps.push(Step::atomic(
            "take back what was granted",
            Target::Own,
            statements,
        ));
        let statement = format!(
            "revoke all on database {} from {}",
            id(&names.database),
            id(&names.login)
        );
        steps.push(Step::single(
            "shut the login role out",
            Target::Maintenance,
            statement,
        ));
    }
    if login {
        let statement = format!("drop role if exists {}", id(&names.login));
        steps.push(Step::single(
            "drop the login role",
            Target::Maintenance,
            statement,
        ));
    }
    if owner {
        let statement = format!("drop role if exists {}", id(&names.owner));
        steps.push(Step::single(
            "drop the owner role",
            Target::Maintenance,
            statement,
        ));
    }
    steps
}
