//! ServiceDeployment: one workload. [`reconcile`] tells the story;
//! [`operator_plan::service_deployment`] decides.

mod observe;
mod reconcile;

use std::sync::Arc;

use crds::ServiceDeployment;
use operator_plan::{Outcome as Story, service_deployment as plan};

use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::{Error, Outcome};
use kube_cache::Key;

pub use reconcile::reconcile;

/// The controller of workloads.
pub struct ServiceDeployments(pub Arc<Context>);

impl Reconciler for ServiceDeployments {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let store = &self.0.stores.service_deployments;
        if let Some(service) = store.object(key) {
            return Some(Identity::of(&*service));
        }
        store
            .undecodable(key)
            .map(|invalid| Identity::of_metadata(&invalid.metadata))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        let store = &self.0.stores.service_deployments;
        if let Some(service) = store.object(key) {
            return reconcile(&self.0, &service).await;
        }
        match store.undecodable(key) {
            Some(invalid) => {
                self.0
                    .report_undecodable::<ServiceDeployment>(&invalid)
                    .await
            }
            None => Ok(Outcome::AwaitChange),
        }
    }

    async fn failed(&self, key: &Key, error: &Error) {
        self.0.metrics.outcome("ServiceDeployment", "failed");
        let Some(service) = self.0.stores.service_deployments.object(key) else {
            return;
        };
        let text = error.chain();
        let status = plan::status(&service, &Story::Failed(&text), self.0.now());
        if let Err(error) = self.0.report_status(&*service, &status).await {
            tracing::warn!(%key, error = error.chain(), "the failure could not be reported");
        }
    }

    fn forget(&self, key: &Key) {
        self.0.statuses.forget("ServiceDeployment", key);
    }
}
