//! GatewayClasses: says which are served.

use std::sync::Arc;

use gateway_routes::api::GatewayClass;
use gateway_routes::gateway_class_status;
use kube::Api;
use kube_cache::Key;

use super::report;
use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::Error;
use crate::next::Next;

/// The controller of GatewayClasses.
pub struct GatewayClasses(pub Arc<Context>);

impl Reconciler for GatewayClasses {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let class = self.0.caches.gateway_classes.store.object(key);
        class.map(|class| Identity::of(&*class))
    }

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let ctx = &*self.0;
        let Some(class) = ctx.caches.gateway_classes.store.object(key) else {
            return Ok(Next::AwaitChange);
        };
        // Those of other controllers have none.
        if let Some(status) = gateway_class_status(&class, ctx.now()) {
            let api = Api::<GatewayClass>::all(ctx.client.clone());
            report::status(ctx, &api, &*class, &status).await?;
            ctx.metrics.outcome("GatewayClass", "applied");
        }
        Ok(Next::AwaitChange)
    }

    async fn failed(&self, _key: &Key, _error: &Error) {
        self.0.metrics.outcome("GatewayClass", "failed");
    }

    fn forget(&self, _key: &Key) {}
}
