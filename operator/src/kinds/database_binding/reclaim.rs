//! The end of a binding. It always comes: when its server is gone for good there is nothing left to
//! give back, and when the server is only silent a written rule says how long to ask.
//!
//! | the server | `Retain` | `Delete`, `BackupThenDelete` |
//! |---|---|---|
//! | its Storefront is gone | released at once | released at once |
//! | its Storefront is being deleted, and it is silent | released after [`LEAVING`] | `Delete`: released after [`LEAVING`]; `BackupThenDelete`: held |
//! | silent, refuses the administrator, or its Secret is gone | released after [`PATIENCE`]: no data was to go anyway | held, and the status says why |
//!
//! A binding that cannot be ended as its policy says (its server is silent, its dump failed) is let go by the annotation
//! `storefront.dev/abandon: "true"`, which for a shop's own binding has to be on the Storefront. Where nothing stops its end the annotation changes nothing. One with a silent server
//! is let go by the end of its namespace too, which leaves nobody to mend anything.

use std::time::Duration;

use crds::{DatabaseBinding, DeletionPolicy};
use jiff::Timestamp;
use operator_plan::Verdict;
use operator_plan::database_binding::{
    Observed, Valid, Wanted, end_policy, how_to_abandon, owns_database, retire, validate,
};

use super::admin_session::AdminSession;
use super::error::ServerError;

/// How long a silent server of a shop that is being deleted is asked.
pub const LEAVING: Duration = Duration::from_secs(30);
/// How long any other silent server is asked before a binding that retains its data lets go.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// Reason of a binding whose server does not let the administrator in.
const SILENT: &str = "ServerSilent";
/// Rounds of a reclaim before it is reported that changes on the server do not last.
const ROUNDS: usize = 4;

/// What is to happen with the finalizer.
#[derive(Debug)]
pub enum End {
    /// Nothing of ours is left that should not be. What was done, for the event.
    Reclaimed(String),
    /// There is nothing to give back, or nobody to give it to. Why, for the event.
    Abandoned(String),
    /// Look again: the server, or the Secret that says where it is, has to come back.
    Silent {
        /// Machine-readable reason (CamelCase).
        reason: &'static str,
        /// What is missed, for the event, should it be given up.
        why: String,
        /// Who blocks, for the status.
        message: String,
    },
    /// Look again at once: the object was changed on the way.
    Again,
    /// Look again: something has to happen first.
    Held {
        /// Machine-readable reason (CamelCase).
        reason: &'static str,
        /// Who blocks, for the status.
        message: String,
    },
}

/// What decides whether a silent server is still asked.
struct Rule {
    shop_is_leaving: bool,
    policy: DeletionPolicy,
    waited: Duration,
    how_to_abandon: String,
}

impl Rule {
    fn of(binding: &DatabaseBinding, seen: &Observed, now: Timestamp) -> Self {
        let since = binding
            .metadata
            .deletion_timestamp
            .as_ref()
            .map_or(now, |time| time.0);
        Self {
            shop_is_leaving: shop_is_leaving(seen),
            policy: end_policy(binding, seen),
            waited: Duration::try_from(now.duration_since(since)).unwrap_or_default(),
            how_to_abandon: how_to_abandon(binding, seen),
        }
    }

    /// Held, or let go.
    fn verdict(&self, reason: &'static str, why: &str) -> End {
        let deadline = match (self.shop_is_leaving, self.policy) {
            // Without its dump the data would go with the server's volume.
            (_, DeletionPolicy::BackupThenDelete) | (false, DeletionPolicy::Delete) => None,
            (true, DeletionPolicy::Retain | DeletionPolicy::Delete) => Some(LEAVING),
            (false, DeletionPolicy::Retain) => Some(PATIENCE),
        };
        let held = |message| End::Silent {
            reason,
            why: why.to_owned(),
            message,
        };
        match deadline {
            Some(deadline) if self.waited >= deadline => End::Abandoned(format!(
                "{why}; given up after {} s, its login role may be left",
                deadline.as_secs()
            )),
            Some(deadline) => held(format!(
                "{why}; asked again until {} s after the deletion",
                deadline.as_secs()
            )),
            None => {
                let lost = match self.policy {
                    DeletionPolicy::BackupThenDelete => "the data was to be dumped and deleted",
                    DeletionPolicy::Delete | DeletionPolicy::Retain => "the data was to be deleted",
                };
                held(format!(
                    "{why}; {lost}, so this object waits: repair that, or {} to leave everything behind",
                    self.how_to_abandon
                ))
            }
        }
    }
}

fn shop_is_leaving(seen: &Observed) -> bool {
    seen.storefront
        .as_ref()
        .is_some_and(|shop| shop.metadata.deletion_timestamp.is_some())
}

/// Decides what can be decided without the server. `Ok`: the server has to be asked.
pub fn before_asking(
    binding: &DatabaseBinding,
    seen: &Observed,
    now: Timestamp,
) -> Result<Valid, End> {
    if let Some(shop) = &binding.spec.server_ref.storefront {
        let Some(found) = &seen.storefront else {
            return Err(End::Abandoned(format!(
                "Storefront {shop} is gone, and its server with it"
            )));
        };
        if shop_is_leaving(seen)
            && found.spec.database.external.is_none()
            && found.spec.deletion_policy == DeletionPolicy::Delete
        {
            return Err(End::Abandoned(format!(
                "Storefront {shop} is being deleted with everything in its server"
            )));
        }
    }
    match validate(binding, seen) {
        Verdict::Ready(valid) => Ok(valid),
        // Its login role can log in as long as nobody is told to close it.
        Verdict::Waiting(on) => Err(Rule::of(binding, seen, now).verdict(on.reason, &on.message)),
        Verdict::Invalid(why) => Err(Rule::of(binding, seen, now).verdict(SILENT, &why.message)),
    }
}

/// What a failure of the server means for the rule above. `None`: nothing, it is to be tried again.
pub fn after_failure(
    binding: &DatabaseBinding,
    seen: &Observed,
    now: Timestamp,
    failure: &ServerError,
) -> Option<End> {
    match failure {
        ServerError::Unreachable { .. } | ServerError::Denied { .. } => {
            Some(Rule::of(binding, seen, now).verdict(SILENT, &failure.to_string()))
        }
        _ => None,
    }
}

/// Removes what was provisioned, as the policy says.
pub async fn reclaim(
    session: &mut AdminSession,
    wanted: &Wanted,
    policy: DeletionPolicy,
) -> Result<End, ServerError> {
    let mut last = "read the server";
    for _ in 0..ROUNDS {
        let seen = session.read(wanted).await?;
        let missing = retire(wanted, &seen, policy);
        let Some(statement) = missing.last() else {
            let database = &wanted.names.database;
            return Ok(End::Reclaimed(match &seen.database {
                Some(_) if policy == DeletionPolicy::Retain => {
                    format!("the login role is gone; database {database} is kept")
                }
                Some(_) if !owns_database(wanted, &seen) => {
                    format!(
                        "the login role is gone; database {database} is not this binding's to drop"
                    )
                }
                Some(_) | None => "nothing of this binding is left on the server".to_owned(),
            }));
        };
        last = statement.purpose;
        session.run(&missing).await?;
    }
    Err(ServerError::Unsettled { purpose: last })
}
