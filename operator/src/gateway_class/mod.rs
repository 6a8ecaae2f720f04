//! The class `storefront`: GatewayClass, Gateways with their data planes, routes and policies.
//! What is said about them is decided in [`gateway_routes`], what runs them in
//! [`operator_plan::gateway`]. One data plane serves one namespace, so one namespace is one picture.

mod class;
mod observe;
mod reconcile;
mod report;
mod routes;

use std::sync::Arc;

use gateway_routes::api::{CONTROLLER_NAME, Gateway};
use operator_plan::storefront::BUILT_IN_CLASS;

use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::{Error, Outcome};
use kube_cache::Key;

/// Whether a Gateway is ours: its class names our controller. Where classes cannot be seen (an
/// operator that may only look at namespaces), the built-in class is taken as ours.
pub fn is_ours(ctx: &Context, gateway: &Gateway) -> bool {
    let name = &gateway.spec.gateway_class_name;
    if !ctx.sees_classes {
        return name == BUILT_IN_CLASS;
    }
    let class = ctx
        .stores
        .gateway_classes
        .object(&Key::new("", name.clone()));
    class.is_some_and(|class| class.spec.controller_name == CONTROLLER_NAME)
}

/// The controller of GatewayClasses.
pub struct GatewayClasses(pub Arc<Context>);

impl Reconciler for GatewayClasses {
    fn identity(&self, key: &Key) -> Option<Identity> {
        self.0
            .stores
            .gateway_classes
            .object(key)
            .map(|class| Identity::of(&*class))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        match self.0.stores.gateway_classes.object(key) {
            Some(class) => class::reconcile(&self.0, &class).await,
            None => Ok(Outcome::AwaitChange),
        }
    }

    async fn failed(&self, _key: &Key, _error: &Error) {
        self.0.metrics.outcome("GatewayClass", "failed");
    }

    fn forget(&self, _key: &Key) {}
}

/// The controller of Gateways.
pub struct Gateways(pub Arc<Context>);

impl Reconciler for Gateways {
    fn identity(&self, key: &Key) -> Option<Identity> {
        self.0
            .stores
            .gateways
            .object(key)
            .map(|gateway| Identity::of(&*gateway))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        match self.0.stores.gateways.object(key) {
            Some(gateway) => reconcile::reconcile(&self.0, &gateway).await,
            None => Ok(Outcome::AwaitChange),
        }
    }

    async fn failed(&self, _key: &Key, _error: &Error) {
        self.0.metrics.outcome("Gateway", "failed");
    }

    fn forget(&self, _key: &Key) {}
}

/// The controller of the routes and policies of a namespace; its keys are namespaces.
pub struct Routes(pub Arc<Context>);

impl Reconciler for Routes {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let stores = &self.0.stores;
        let is_empty = stores.http_routes.in_namespace(&key.namespace).is_empty()
            && stores.jwt_policies.in_namespace(&key.namespace).is_empty()
            && stores
                .rate_limit_policies
                .in_namespace(&key.namespace)
                .is_empty();
        (!is_empty).then(|| Identity {
            uid: key.namespace.clone(),
            generation: 0,
        })
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        routes::reconcile(&self.0, &key.namespace).await
    }

    async fn failed(&self, _key: &Key, _error: &Error) {
        self.0.metrics.outcome("HTTPRoute", "failed");
    }

    fn forget(&self, _key: &Key) {}
}
