//! What a binding says about itself.

use crds::{BindingRef, Condition, DatabaseBinding, DatabaseBindingStatus, RotationStatus};
use jiff::Timestamp;

use super::connect::FORBIDDEN;
use super::loss::LOST;
use super::names::Wanted;
use super::rotation::rotation;
use crate::conditions::{self, Aspect};
use crate::{Invalid, Waiting, leaving};

/// Reasons of failures that no waiting mends.
const STALLING: [&str; 3] = ["ServerDenied", FORBIDDEN, "BackupFailed"];

/// How far a reconciliation came.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Everything was seen to be as it should be; this is how far the rotation is now.
    Done(Option<&'a RotationStatus>),
    /// The same, of an object that is being deleted and that somebody else keeps.
    Held {
        /// How far the rotation is now.
        rotation: Option<&'a RotationStatus>,
        /// Who keeps it, and what to do.
        message: &'a str,
    },
    /// See [`Waiting`].
    Waiting(&'a Waiting),
    /// See [`Invalid`].
    Invalid(&'a Invalid),
    /// A call failed and will be tried again.
    Failed {
        /// Machine-readable reason (CamelCase).
        reason: &'static str,
        /// Which call, and why.
        message: &'a str,
    },
    /// The object is being deleted.
    Deleting {
        /// Machine-readable reason (CamelCase).
        reason: &'static str,
        /// What is still to be done, and who blocks.
        message: &'a str,
    },
}

/// Names what is about to be made. Written before anything is made, so that a crash leaves nothing
/// unnamed. Says nothing of readiness unless nothing was ever said.
pub fn intent(binding: &DatabaseBinding, wanted: &Wanted, now: Timestamp) -> DatabaseBindingStatus {
    let mut status = binding.status.clone().unwrap_or_default();
    status.database = Some(wanted.names.database.clone());
    status.role = Some(wanted.names.login.clone());
    status.rotation = rotation(binding, wanted, now);
    status.recreation.clone_from(&wanted.recreation);
    if status.observed_generation != binding.metadata.generation || status.conditions.is_empty() {
        status.observed_generation = binding.metadata.generation;
        let aspects = conditions::reconciling("Provisioning", "roles and database are being made");
        status.conditions = conditions::partial(
            &status.conditions,
            &aspects,
            binding.metadata.generation,
            now,
        );
    }
    status
}

/// The status of a binding that ends, once other credentials took the place of lost ones: its dump is taken
/// with them.
pub fn renewed(
    binding: &DatabaseBinding,
    wanted: &Wanted,
    rotation: Option<&RotationStatus>,
) -> DatabaseBindingStatus {
    let mut status = binding.status.clone().unwrap_or_default();
    status.role = Some(wanted.names.login.clone());
    status.rotation = rotation.cloned();
    status.binding = Some(BindingRef {
        name: wanted.names.secret.clone(),
    });
    status
}

/// The status after a reconciliation.
pub fn status(
    binding: &DatabaseBinding,
    wanted: Option<&Wanted>,
    progress: Progress<'_>,
    now: Timestamp,
) -> DatabaseBindingStatus {
    let mut status = binding.status.clone().unwrap_or_default();
    let generation = binding.metadata.generation;
    status.observed_generation = generation;
    if let Some(wanted) = wanted {
        status.database = Some(wanted.names.database.clone());
        status.role = Some(wanted.names.login.clone());
        // As it was written on the way, too: what was made meanwhile is an empty database all the same.
        status.recreation.clone_from(&wanted.recreation);
    }
    status.rotation = match (progress, wanted) {
        (Progress::Done(rotation) | Progress::Held { rotation, .. }, _) => rotation.cloned(),
        // As the intent that was written on the way: a later status must not take it back.
        (Progress::Waiting(_) | Progress::Invalid(_) | Progress::Failed { .. }, Some(wanted)) => {
            rotation(binding, wanted, now)
        }
        (_, None) | (Progress::Deleting { .. }, _) => status.rotation,
    };
    let previous = std::mem::take(&mut status.conditions);
    status.conditions = match progress {
        Progress::Done(_) | Progress::Held { .. } => {
            if let Some(recreation) = &mut status.recreation {
                recreation.pending = false;
            }
            status.binding = wanted.map(|wanted| BindingRef {
                name: wanted.names.secret.clone(),
            });
            let held = match progress {
                Progress::Held { message, .. } => Some(leaving::held(message.to_owned())),
                _ => None,
            };
            done(&previous, (wanted, held), generation, now)
        }
        Progress::Waiting(on) => {
            let aspects = conditions::reconciling(on.reason, &on.message);
            conditions::partial(&previous, &aspects, generation, now)
        }
        Progress::Invalid(why) => {
            let mut aspects = conditions::stalled(why.reason, &why.message);
            if why.reason == LOST {
                aspects.push(Aspect::no("DatabaseReady", LOST, why.message.clone()));
            }
            conditions::partial(&previous, &aspects, generation, now)
        }
        Progress::Failed { reason, message } => {
            let mut aspects = unfinished(reason, message);
            aspects.push(Aspect::unknown("DatabaseReady", reason, message));
            conditions::partial(&previous, &aspects, generation, now)
        }
        Progress::Deleting { reason, message } => {
            let aspects = unfinished(reason, message);
            conditions::partial(&previous, &aspects, generation, now)
        }
    };
    status
}

/// On its way, unless only a person can help.
fn unfinished(reason: &str, message: &str) -> Vec<Aspect> {
    if STALLING.contains(&reason) {
        conditions::stalled(reason, message)
    } else {
        conditions::reconciling(reason, message)
    }
}

fn done(
    previous: &[Condition],
    (wanted, held): (Option<&Wanted>, Option<Aspect>),
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let (database, secret) = wanted.map_or(("", ""), |wanted| {
        (wanted.names.database.as_str(), wanted.names.secret.as_str())
    });
    let parts = [
        Aspect::yes(
            "DatabaseReady",
            "Provisioned",
            format!("database {database} and its roles are in place"),
        ),
        Aspect::yes(
            "SecretReady",
            "Created",
            format!("Secret {secret} holds the credentials"),
        ),
    ];
    let all: Vec<Aspect> = held.into_iter().chain(parts.clone()).collect();
    let mut aspects = conditions::summary(&all);
    aspects.extend(parts);
    conditions::conditions(previous, &aspects, generation, now)
}
