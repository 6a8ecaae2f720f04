use crds::{DatabaseBinding, DatabaseBindingStatus};
use jiff::Timestamp;

use super::{Valid, intent};
use crate::{
    Outcome,
    conditions::{self, Aspect},
};

/// What the DatabaseBinding's status says after a look. [`Outcome::Applied`] means that the Secret was
/// written and [`super::provision`] had nothing left to do. `valid` is given whenever the spec was found good.
pub fn status(
    binding: &DatabaseBinding,
    outcome: &Outcome<'_>,
    valid: Option<&Valid>,
    now: Timestamp,
) -> DatabaseBindingStatus {
    let previous = binding.status.clone().unwrap_or_default();
    let generation = binding.metadata.generation;
    let mut status = valid.map_or_else(|| previous.clone(), |valid| intent(binding, valid));
    status.observed_generation = generation;
    let known = &previous.conditions;
    let partial = |aspects: Vec<Aspect>| conditions::partial(known, &aspects, generation, now);
    status.conditions = match outcome {
        Outcome::Applied(_) => {
            let (secret, database) = (
                status
                    .binding
                    .as_ref()
                    .map(|b| b.name.clone())
                    .unwrap_or_default(),
                status.database.clone().unwrap_or_default(),
            );
            let parts = vec![
                Aspect::yes(
                    "SecretReady",
                    "Ready",
                    format!("Secret {secret} says how to connect"),
                ),
                Aspect::yes(
                    "DatabaseReady",
                    "Ready",
                    format!("database {database} and its roles are as they should be"),
                ),
            ];
            let mut aspects = conditions::summary(&parts);
            aspects.extend(parts);
            conditions::conditions(known, &aspects, generation, now)
        }
        Outcome::Waiting(on) => {
            let mut aspects = conditions::reconciling(on.reason, &on.message);
            aspects.push(Aspect::no("DatabaseReady", on.reason, on.message.clone()));
            partial(aspects)
        }
        Outcome::Invalid(why) => {
            let mut aspects = conditions::stalled(why.reason, &why.message);
            aspects.push(Aspect::no("DatabaseReady", why.reason, why.message.clone()));
            partial(aspects)
        }
        Outcome::Failed(text) => {
            let mut aspects = conditions::reconciling("ReconcileFailed", text);
            aspects.push(Aspect::unknown("DatabaseReady", "ReconcileFailed", *text));
            partial(aspects)
        }
        Outcome::Deleting(text) => partial(conditions::reconciling("Deleting", text)),
        Outcome::Paused => previous.conditions.clone(),
    };
    status
}
