//! Asks for more storage for a volume claim.
//!
//! The claim is its StatefulSet's and not ours, so nothing is applied to it: one field is changed, and only to more.
//! Whether the volume can grow is decided by the API server, which knows its StorageClass.

use kube::api::Patch;
use operator_plan::size::nano;
use operator_plan::{Live, Planned};
use serde_json::{Value, json};

use super::Applier;
use crate::error::{Error, optional};
use crate::patches::merge_params;
use crate::reader::{dynamic, text, to_value};

/// Where a claim says how much it asks for.
const SIZE: &str = "/spec/resources/requests/storage";

impl Applier {
    /// Gives a claim that exists, and has the planned labels, the planned size where it has less.
    pub(super) async fn grow(&self, planned: &Planned) -> Result<Option<Live>, Error> {
        let key = &planned.key;
        let Some(found) = self.reader.fetch_object(&planned.resource, key).await? else {
            return Ok(None);
        };
        let live = to_value(key, found)?;
        if !is_to_grow(&live, &planned.body) {
            return Ok(None);
        }
        let size = &planned.body.pointer(SIZE);
        let patch = json!({
            "metadata": { "uid": live["metadata"]["uid"] },
            "spec": { "resources": { "requests": { "storage": size } } },
        });
        let api = dynamic(&self.client, &planned.resource, key);
        let patched = api
            .patch(&key.name, &merge_params(), &Patch::Merge(&patch))
            .await;
        let patched = optional(patched).map_err(|source| Error::api("grow", text(key), source))?;
        if patched.is_some() {
            tracing::info!(object = %text(key), "asked for more storage");
        }
        Ok(None)
    }
}

fn is_to_grow(live: &Value, planned: &Value) -> bool {
    let size = |claim: &Value| nano(claim.pointer(SIZE)?.as_str()?);
    let wanted = planned["metadata"]["labels"].as_object();
    let labels = &live["metadata"]["labels"];
    let mut wanted = wanted.into_iter().flatten();
    wanted.all(|(name, value)| labels[name] == *value) && size(live) < size(planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_claim_of_the_set_that_is_smaller_grows() {
        let claim = |size: &str, name: &str| {
            json!({
                "metadata": { "labels": { "app.kubernetes.io/name": name } },
                "spec": { "resources": { "requests": { "storage": size } } },
            })
        };
        let planned = claim("2Gi", "nats");
        assert!(is_to_grow(&claim("1Gi", "nats"), &planned));
        assert!(!is_to_grow(&claim("2048Mi", "nats"), &planned));
        assert!(!is_to_grow(&claim("3Gi", "nats"), &planned));
        assert!(!is_to_grow(&claim("1Gi", "other"), &planned));
    }
}
