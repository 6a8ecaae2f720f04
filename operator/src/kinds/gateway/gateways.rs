//! Gateways: makes the data plane of each, and reports what it serves.

use std::sync::Arc;

use gateway_routes::api::{Gateway, GatewayAddress};
use gateway_routes::{DataPlane, View};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, ResourceExt};
use kube_cache::{Key, Owner};
use operator_plan::gateway::{desired, keep, resource_name, validate};
use operator_plan::{Applied, Objects, Verdict};

use super::certificates::Certificates;
use super::observe::{is_ours, observe};
use super::report;
use crate::context::Context;
use crate::controller::{Identity, Reconciler};
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
    let (plane, outcome) = match validate(gateway, &ctx.platform) {
        Verdict::Ready(valid) => {
            let valid = valid.without_secrets(&certificates.foreign);
            let mut plan = desired(&valid);
            keep(&valid, certificates.kept.clone(), &mut plan);
            if is_paused(ctx, gateway) {
                (plane(&ctx.reader.read(&plan).await?, &name), "paused")
            } else {
                let applied = ctx.applier.apply(&plan).await?;
                let uid = gateway.uid().unwrap_or_default();
                ctx.applier.prune(&uid, &plan, |_| true).await?;
                (plane(&applied, &name), "applied")
            }
        }
        Verdict::Waiting(on) => {
            tracing::info!(gateway = name, reason = on.message, "Gateway is waiting");
            (DataPlane::default(), "waiting")
        }
        // What is wrong with a listener is in its conditions, below.
        Verdict::Invalid(why) => {
            tracing::info!(gateway = name, reason = why.message, "Gateway is invalid");
            (DataPlane::default(), "invalid")
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
    Ok(next(ctx, &subscriber).sooner(certificates.next(ctx)))
}

/// Whether the shop that the Gateway belongs to is to be left alone.
fn is_paused(ctx: &Context, gateway: &Gateway) -> bool {
    let owner = Owner::of(gateway).filter(|owner| owner.kind == "Storefront");
    let shop = owner.and_then(|owner| {
        let key = Key::new(gateway.namespace().unwrap_or_default(), owner.name);
        ctx.caches.storefronts.store.object(&key)
    });
    shop.is_some_and(|shop| shop.spec.paused)
}

fn plane(applied: &Objects<Applied>, gateway: &str) -> DataPlane {
    let name = resource_name(gateway);
    let address = applied
        .get::<Service>(&name)
        .and_then(|service| service.spec?.cluster_ip);
    let pods = applied
        .get::<Deployment>(&name)
        .and_then(|it| it.status?.available_replicas);
    let addresses = address
        .filter(|ip| !ip.is_empty() && ip != "None")
        .map(|ip| GatewayAddress {
            type_: Some("IPAddress".to_owned()),
            value: Some(ip),
        });
    DataPlane {
        addresses: addresses.into_iter().collect(),
        is_available: pods.unwrap_or_default() > 0,
    }
}
