//! Replaces an object that cannot be changed into what is planned.
//!
//! Some fields of some kinds can never be changed (the selector of a Deployment, the role of a
//! RoleBinding), so an object that somebody made anew with another value would stay as it is, and be
//! reported for ever. It is deleted and made again, but only where three things hold: its kind has no
//! data of its own, the API server takes the new object (asked by a dry run under another
//! name, so that an invalid plan never costs a running one), and it is the object that was seen.
//!
//! A kill between the two steps leaves no object, which the next reconciliation creates.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use operator_plan::{Live, ObjectKey};
use serde_json::Value;

use super::{Applier, Write};
use crate::error::{Error, code, optional};
use crate::reader::{dynamic, text};

/// End of the name under which the new object is tried.
const TRIAL: &str = "-trial";
/// Longest name of a Service, the shortest of all kinds.
const LONGEST: usize = 63;

impl Applier {
    /// Replaces `live`, whose change was `refused`.
    pub(super) async fn replace(
        &self,
        write: &Write<'_>,
        live: &Value,
        refused: Error,
    ) -> Result<Live, Error> {
        let key = &write.planned.key;
        let Some(policy) = propagation(key) else {
            return Err(refused);
        };
        if !self.would_be_taken(write).await? {
            return Err(refused);
        }
        self.memory.forget(key);
        let seen = Preconditions {
            uid: live["metadata"]["uid"].as_str().map(str::to_owned),
            resource_version: None,
        };
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(seen),
            ..DeleteParams::default()
        };
        let api = dynamic(&self.client, &write.planned.resource, key);
        let answer = optional(api.delete(&key.name, &params).await);
        answer.map_err(|source| Error::api("delete", text(key), source))?;
        tracing::warn!(object = %text(key), refused = refused.chain(), "deleted, to be made again: it cannot be changed");
        let created = self.create(write).await?;
        // It may take a moment to go.
        created.ok_or_else(|| Error::Stale { what: text(key) })
    }

    /// Whether the API server takes the object as a new one.
    async fn would_be_taken(&self, write: &Write<'_>) -> Result<bool, Error> {
        let key = &write.planned.key;
        let mut body = write.body.clone();
        let start: String = key.name.chars().take(LONGEST - TRIAL.len()).collect();
        body["metadata"]["name"] = format!("{start}{TRIAL}").into();
        match self.post(write.planned, body, true).await? {
            Ok(_) => Ok(true),
            Err(error) if matches!(code(&error), Some(400..=499)) => Ok(false),
            Err(source) => Err(Error::api("try", text(key), source)),
        }
    }
}

/// How the dependents of an object go, if it may be replaced at all. The pods of a StatefulSet run on,
/// and belong to the new one; what depends on the others is made again with them.
fn propagation(key: &ObjectKey) -> Option<PropagationPolicy> {
    match key.kind.as_str() {
        "StatefulSet" => Some(PropagationPolicy::Orphan),
        "Deployment" | "Job" | "Service" | "RoleBinding" | "PodDisruptionBudget" => {
            Some(PropagationPolicy::Background)
        }
        _ => None,
    }
}
