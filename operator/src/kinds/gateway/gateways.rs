//! Gateways: makes the data plane of each, and reports what it serves.

use std::sync::Arc;
use std::time::Duration;

use crds::Storefront;
use gateway_routes::api::{Gateway, GatewayAddress};
use gateway_routes::{DataPlane, View};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, ResourceExt};
use kube_cache::{Key, Owner};
use operator_plan::gateway::{Observed, desired, keep, pods_of, resource_name, trouble, validate};
use operator_plan::scaling::Target;
use operator_plan::{Applied, Objects, Planned, Verdict};

use super::certificates::Certificates;
use super::observe::{is_ours, observe};
use super::report;
use crate::context::Context;
use crate::controller::{Identity, REFUSED, Reconciler};
use crate::creating;
use crate::error::Error;
use crate::kind_loop::{next, subscriber};
use crate::next::Next;
use crate::secrets::Subscriber;

/// The controller of Gateways.
pub struct Gateways(pub Arc<Context>);

impl Reconciler for Gateways {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let gateway = self.0.caches.gateways.store.object(key);
        gateway.map(|gateway| Identity::of(&*gateway))
    }

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        match self.0.caches.gateways.store.object(key) {
            Some(gateway) => reconcile(&self.0, &gateway).await,
            None => Ok(Next::AwaitChange),
        }
    }

    async fn failed(&self, _key: &Key, _error: &Error) {
        self.0.metrics.outcome("Gateway", "failed");
    }

    fn forget(&self, key: &Key) {
        self.0.secrets.unsubscribe(&Subscriber {
            kind: "Gateway".to_owned(),
            key: key.clone(),
        });
    }
}

/// Reconciles one Gateway; those of other classes are left alone.
async fn reconcile(ctx: &Context, gateway: &Gateway) -> Result<Next, Error> {
    if gateway.metadata.deletion_timestamp.is_some() || !is_ours(ctx, gateway) {
        return Ok(Next::AwaitChange);
    }
    let namespace = gateway.namespace().unwrap_or_default();
    let name = gateway.name_any();
    let certificates = Certificates::observe(ctx, gateway).await?;
    let shop = shop_of(ctx, gateway);
    let is_paused = shop.as_ref().is_some_and(|shop| shop.spec.paused);
    let workload = Key::new(namespace.clone(), resource_name(&name));
    let account_since = ctx.caches.newer_account(&workload);
    let around = Observed {
        storefront: shop,
        account_since,
        is_scaled: ctx.caches.is_scaled(
            &namespace,
            Target::Deployment(&resource_name(&name)),
            &gateway.uid().unwrap_or_default(),
        ),
    };
    let ((plane, again), outcome) = match validate(gateway, &around, &ctx.platform) {
        Verdict::Ready(valid) => {
            let valid = valid.without_secrets(&certificates.foreign);
            let mut plan = desired(&valid);
            keep(&valid, certificates.kept.clone(), &mut plan);
            if is_paused {
                let seen = ctx.reader.read(&plan).await?;
                (plane(ctx, seen, gateway).await?, "paused")
            } else {
                let ((plane, mut again), outcome) = make(ctx, gateway, &plan).await?;
                // It was deleted, and has just been made again: the pods need a token of the new one.
                if ctx.caches.newer_account(&workload) != account_since {
                    again = again.sooner(Next::Requeue(Duration::ZERO));
                }
                ((plane, again), outcome)
            }
        }
        Verdict::Waiting(on) => {
            tracing::info!(gateway = name, reason = on.message, "Gateway is waiting");
            ((DataPlane::default(), Next::AwaitChange), "waiting")
        }
        // What is wrong with a listener is in its conditions, below.
        Verdict::Invalid(why) => {
            tracing::info!(gateway = name, reason = why.message, "Gateway is invalid");
            ((DataPlane::default(), Next::AwaitChange), "invalid")
        }
    };
    let subscriber = subscriber(gateway);
    let own: Vec<Key> = certificates.own.iter().cloned().collect();
    ctx.secrets
        .subscribe(&subscriber, &own, &certificates.named);
    let mut seen = observe(ctx, &namespace).await?;
    seen.kept_certificates = certificates.last_good(gateway);
    let status = View::new(&seen).gateway_status(gateway, &plane, ctx.now());
    let api = Api::<Gateway>::namespaced(ctx.client.clone(), &namespace);
    report::status(ctx, &api, gateway, &status).await?;
    ctx.metrics.outcome("Gateway", outcome);
    let again = if plane.refused.is_some() {
        again.sooner(Next::Requeue(REFUSED))
    } else {
        again
    };
    let again = again.sooner(certificates.next(ctx));
    Ok(next(ctx, &subscriber).sooner(again))
}

/// Makes the data plane. What the API server refuses is reported on the Gateway.
async fn make(
    ctx: &Context,
    gateway: &Gateway,
    plan: &Objects<Planned>,
) -> Result<((DataPlane, Next), &'static str), Error> {
    match ctx.applier.apply(plan).await {
        Ok(applied) => {
            let uid = gateway.uid().unwrap_or_default();
            ctx.applier.prune(&uid, plan, |_| true).await?;
            Ok((plane(ctx, applied, gateway).await?, "applied"))
        }
        Err(error) => {
            let why = error.refusal().ok_or(error)?;
            let seen = ctx.reader.read(plan).await?;
            let (plane, again) = plane(ctx, seen, gateway).await?;
            let refused = Some(why.message);
            Ok(((DataPlane { refused, ..plane }, again), "refused"))
        }
    }
}

/// The shop that the Gateway belongs to.
fn shop_of(ctx: &Context, gateway: &Gateway) -> Option<Arc<Storefront>> {
    let owner = Owner::of(gateway).filter(|owner| owner.kind == "Storefront");
    let key = Key::new(gateway.namespace().unwrap_or_default(), owner?.name);
    ctx.caches.storefronts.store.object(&key)
}

/// How the data plane is, and when to look again.
async fn plane(
    ctx: &Context,
    mut seen: Objects<Applied>,
    gateway: &Gateway,
) -> Result<(DataPlane, Next), Error> {
    let gateway_name = gateway.name_any();
    let name = resource_name(&gateway_name);
    let pods = seen
        .get::<Deployment>(&name)
        .and_then(|it| it.status?.available_replicas);
    let is_available = pods.unwrap_or_default() > 0;
    let mut again = Next::AwaitChange;
    if !is_available {
        let namespace = gateway.namespace().unwrap_or_default();
        let whose = [pods_of(&gateway_name)];
        ctx.reader.add_pods(&namespace, &whose, &mut seen);
        again = creating::add(ctx, &namespace, &whose, &mut seen).await?;
    }
    let service = seen.get::<Service>(&name);
    let plane = DataPlane {
        addresses: service.map(addresses).unwrap_or_default(),
        is_available,
        trouble: trouble(&gateway_name, &seen).filter(|_| !is_available),
        refused: None,
    };
    Ok((plane, again))
}

/// By which addresses the data plane is reached: those of the load balancer where there is one, else those of the
/// Service.
fn addresses(service: Service) -> Vec<GatewayAddress> {
    let address = |type_: &str, value: String| GatewayAddress {
        type_: Some(type_.to_owned()),
        value: Some(value),
    };
    let spec = service.spec.unwrap_or_default();
    if spec.type_.as_deref() == Some("LoadBalancer") {
        let balancer = service.status.and_then(|status| status.load_balancer);
        let ingress = balancer.and_then(|balancer| balancer.ingress);
        let ingress = ingress.into_iter().flatten();
        return ingress
            .filter_map(|point| match (point.ip, point.hostname) {
                (Some(ip), _) => Some(address("IPAddress", ip)),
                (None, Some(name)) => Some(address("Hostname", name)),
                (None, None) => None,
            })
            .collect();
    }
    let ips = spec.cluster_ips.or(spec.cluster_ip.map(|ip| vec![ip]));
    let ips = ips.into_iter().flatten();
    ips.filter(|ip| !ip.is_empty() && ip != "None")
        .map(|ip| address("IPAddress", ip))
        .collect()
}
