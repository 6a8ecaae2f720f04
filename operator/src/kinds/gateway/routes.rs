//! Routes and policies of a namespace: reports which are in force.

use std::sync::Arc;

use gateway_routes::View;
use kube::Api;
use kube::core::NamespaceResourceScope;
use kube_cache::Key;

use super::key_sets::KeySets;
use super::observe::observe;
use super::report;
use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::Error;
use crate::next::Next;

/// The controller of the routes and policies of a namespace; its keys are namespaces.
pub struct Routes {
    ctx: Arc<Context>,
    key_sets: KeySets,
}

impl Routes {
    /// Knows nothing yet of data planes.
    pub fn new(ctx: Arc<Context>) -> Self {
        Self {
            ctx,
            key_sets: KeySets::default(),
        }
    }
}

impl Reconciler for Routes {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let (caches, namespace) = (&self.ctx.caches, &key.namespace);
        let is_empty = caches.http_routes.store.in_namespace(namespace).is_empty()
            && caches.jwt_policies.store.in_namespace(namespace).is_empty()
            && caches
                .backend_tls_policies
                .store
                .in_namespace(namespace)
                .is_empty()
            && caches
                .rate_limit_policies
                .store
                .in_namespace(namespace)
                .is_empty();
        (!is_empty).then(|| Identity {
            uid: namespace.clone(),
            generation: 0,
        })
    }

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        reconcile(&self.ctx, &self.key_sets, &key.namespace).await
    }

    async fn failed(&self, _key: &Key, _error: &Error) {
        self.ctx.metrics.outcome("HTTPRoute", "failed");
    }

    fn forget(&self, key: &Key) {
        self.key_sets.forget(&key.namespace);
    }
}

/// Reports of every route and policy of a namespace whether it is in force.
async fn reconcile(ctx: &Context, key_sets: &KeySets, namespace: &str) -> Result<Next, Error> {
    let mut seen = observe(ctx, namespace).await?;
    let view = View::new(&seen);
    let (troubles, next) = key_sets
        .observe(ctx, namespace, &view, &seen.gateways)
        .await;
    seen.unusable_key_sets = troubles.unusable;
    seen.stale_key_sets = troubles.stale;
    let view = View::new(&seen);
    let now = ctx.now();
    for route in &seen.http_routes {
        let status = view.route_status(route, now);
        report::status(ctx, &api(ctx, namespace), &**route, &status).await?;
    }
    for policy in &seen.backend_tls_policies {
        let status = view.backend_tls_status(policy, now);
        report::status(ctx, &api(ctx, namespace), &**policy, &status).await?;
    }
    for policy in &seen.jwt_policies {
        let status = view.jwt_policy_status(policy, now);
        report::status(ctx, &api(ctx, namespace), &**policy, &status).await?;
    }
    for policy in &seen.rate_limit_policies {
        let status = view.rate_limit_policy_status(policy, now);
        report::status(ctx, &api(ctx, namespace), &**policy, &status).await?;
    }
    ctx.metrics.outcome("HTTPRoute", "applied");
    Ok(next)
}

fn api<K>(ctx: &Context, namespace: &str) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(ctx.client.clone(), namespace)
}
