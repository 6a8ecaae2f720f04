//! The controller of databases. What it does is told in [`crate::database_binding`].

use std::sync::Arc;

use crds::DatabaseBinding;
use operator_plan::database_binding::{self as plan, Progress};

use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::database_binding::{current, reason, reconcile};
use crate::error::{Error, Outcome};
use kube_cache::Key;

/// The controller of databases.
pub struct DatabaseBindings(pub Arc<Context>);

impl Reconciler for DatabaseBindings {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let store = &self.0.stores.database_bindings;
        if let Some(binding) = store.object(key) {
            return Some(Identity::of(&*binding));
        }
        store
            .undecodable(key)
            .map(|invalid| Identity::of_metadata(&invalid.metadata))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        let store = &self.0.stores.database_bindings;
        if let Some(binding) = store.object(key) {
            return reconcile(&binding, &self.0).await;
        }
        match store.undecodable(key) {
            Some(invalid) => self.0.report_undecodable::<DatabaseBinding>(&invalid).await,
            None => Ok(Outcome::AwaitChange),
        }
    }

    async fn failed(&self, key: &Key, error: &Error) {
        self.0.metrics.outcome("DatabaseBinding", "failed");
        let Some(cached) = self.0.stores.database_bindings.object(key) else {
            return;
        };
        // Not from the watch's copy, which may be older: its status would take back what was written
        // of a rotation since.
        let binding = match current(&self.0, &cached).await {
            Ok(Some(binding)) => binding,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%key, error = error.chain(), "the failure could not be reported");
                return;
            }
        };
        let message = error.chain();
        let (reason, message) = (reason(error), message.as_str());
        let progress = if binding.metadata.deletion_timestamp.is_some() {
            Progress::Deleting { reason, message }
        } else {
            Progress::Failed { reason, message }
        };
        let status = plan::status(&binding, None, progress, self.0.now());
        if let Err(error) = self.0.report_status(&binding, &status).await {
            tracing::warn!(%key, error = error.chain(), "the failure could not be reported");
        }
    }

    fn forget(&self, key: &Key) {
        self.0.statuses.forget("DatabaseBinding", key);
    }
}
