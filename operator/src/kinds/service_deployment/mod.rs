//! ServiceDeployment: one workload. What it consists of is decided by
//! [`operator_plan::service_deployment`].

mod ask;
pub(crate) mod observe;

use crds::{ServiceDeployment, ServiceDeploymentStatus};
use kube::ResourceExt;
use kube_cache::Key;
use operator_plan::leaving;
use operator_plan::service_deployment as plan;
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, ObjectKey, Objects, Outcome, Planned, Platform, Verdict};

use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::Kind;
use crate::next::Next;

/// The kind.
pub struct ServiceDeployments;

impl Kind for ServiceDeployments {
    type Object = ServiceDeployment;
    type Observed = plan::Observed;
    type Valid = plan::Valid;

    /// Everything it has is inside the cluster: ownership cleans up.
    const FINALIZER: Option<&'static str> = None;

    fn is_paused(ctx: &Context, service: &ServiceDeployment) -> bool {
        let namespace = service.namespace().unwrap_or_default();
        let shop = Key::new(namespace, service.spec.storefront_ref.name.clone());
        let shop = ctx.caches.storefronts.store.object(&shop);
        service.spec.paused || shop.is_some_and(|shop| shop.spec.paused)
    }

    async fn observe(ctx: &Context, service: &ServiceDeployment) -> Result<plan::Observed, Error> {
        observe::observe(ctx, service).await
    }

    fn validate(
        service: &ServiceDeployment,
        seen: plan::Observed,
        platform: &Platform,
    ) -> Verdict<plan::Valid> {
        plan::validate(service, &seen, platform)
    }

    fn desired(valid: &plan::Valid) -> Objects<Planned> {
        plan::desired(valid)
    }

    /// Its Secrets are its logins, which follow from a Secret of the shop.
    fn may_be_pruned(_service: &ServiceDeployment, _child: &ObjectKey) -> bool {
        true
    }

    fn children(service: &ServiceDeployment) -> Objects<Planned> {
        plan::children(service)
    }

    fn unready(
        service: &ServiceDeployment,
        valid: Option<&plan::Valid>,
        seen: &Objects<Applied>,
    ) -> Vec<PodsOf> {
        plan::unready(service, valid, seen)
    }

    async fn look_closer(
        ctx: &Context,
        service: &ServiceDeployment,
        seen: &mut Objects<Applied>,
    ) -> Result<Next, Error> {
        Ok(ask::ask(ctx, service, seen).await)
    }

    fn status(
        ctx: &Context,
        service: &ServiceDeployment,
        outcome: &Outcome<'_, plan::Valid>,
    ) -> ServiceDeploymentStatus {
        plan::status(service, outcome, ctx.now())
    }

    fn applied_label(_valid: &plan::Valid) -> &'static str {
        "applied"
    }

    fn is_held(ctx: &Context, service: &ServiceDeployment) -> bool {
        let namespace = service.namespace().unwrap_or_default();
        let shop = Key::new(namespace, service.spec.storefront_ref.name.clone());
        let shop = ctx.caches.storefronts.store.object(&shop);
        shop.is_some_and(|shop| plan::is_held(service, &shop))
    }

    /// Only says so.
    async fn delete(ctx: &Context, service: &ServiceDeployment) -> Result<Next, Error> {
        let text = leaving::ending(&service.metadata);
        let new = plan::status(service, &Outcome::Deleting(&text), ctx.now());
        ctx.statuses.report(service, &new).await?;
        Ok(Next::AwaitChange)
    }
}
