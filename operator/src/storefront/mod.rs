//! Storefront: one shop. [`reconcile`] tells the story; [`operator_plan::storefront`] decides.

mod observe;
mod reconcile;
mod teardown;

use std::sync::Arc;

use crds::Storefront;
use operator_plan::{Outcome as Story, storefront as plan};

use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::{Error, Outcome};
use kube_cache::Key;

pub use reconcile::reconcile;

/// Held by a shop as soon as something was made for it: its parts must end in the right order.
pub const FINALIZER: &str = "storefront.dev/shop";

/// The controller of shops.
pub struct Storefronts(pub Arc<Context>);

impl Reconciler for Storefronts {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let store = &self.0.stores.storefronts;
        if let Some(shop) = store.object(key) {
            return Some(Identity::of(&*shop));
        }
        store
            .undecodable(key)
            .map(|invalid| Identity::of_metadata(&invalid.metadata))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        let store = &self.0.stores.storefronts;
        if let Some(shop) = store.object(key) {
            return reconcile(&self.0, &shop).await;
        }
        match store.undecodable(key) {
            Some(invalid) => self.0.report_undecodable::<Storefront>(&invalid).await,
            None => Ok(Outcome::AwaitChange),
        }
    }

    async fn failed(&self, key: &Key, error: &Error) {
        self.0.metrics.outcome("Storefront", "failed");
        let Some(shop) = self.0.stores.storefronts.object(key) else {
            return;
        };
        let text = error.chain();
        let status = plan::status(&shop, &Story::Failed(&text), self.0.now());
        if let Err(error) = self.0.report_status(&*shop, &status).await {
            tracing::warn!(%key, error = error.chain(), "the failure could not be reported");
        }
    }

    fn forget(&self, key: &Key) {
        self.0.statuses.forget("Storefront", key);
    }
}
