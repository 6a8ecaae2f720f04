//! The story of one Gateway: make its data plane, say what it serves.

use std::time::Duration;

use gateway_routes::api::{Gateway, GatewayAddress};
use gateway_routes::{DataPlane, View, certificate_names};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use operator_plan::gateway::{desired, resource_name, validate};
use operator_plan::{Applied, Objects, Verdict};

use super::observe::observe;
use super::{is_ours, report};
use crate::context::Context;
use crate::error::{Error, Outcome};

/// Time between two looks for a certificate, which is not watched here.
const SOON: Duration = Duration::from_secs(10);

/// Brings one Gateway closer to what it says; those of other classes are left alone.
pub async fn reconcile(ctx: &Context, gateway: &Gateway) -> Result<Outcome, Error> {
    if gateway.metadata.deletion_timestamp.is_some() || !is_ours(ctx, gateway) {
        return Ok(Outcome::AwaitChange);
    }
    let namespace = gateway.namespace().unwrap_or_default();
    let (plane, outcome) = match validate(gateway, &ctx.platform) {
        Verdict::Ready(valid) => {
            let plan = desired(&valid);
            let applied = ctx.apply(&plan).await?;
            ctx.prune(&gateway.uid().unwrap_or_default(), &plan).await?;
            (plane(&applied, &gateway.name_any()), "applied")
        }
        Verdict::Waiting(on) => {
            tracing::info!(
                gateway = gateway.name_any(),
                why = on.message,
                "a Gateway waits"
            );
            (DataPlane::default(), "waiting")
        }
        // What is wrong with a listener is said in its conditions, below.
        Verdict::Invalid(why) => {
            tracing::info!(
                gateway = gateway.name_any(),
                why = why.message,
                "a Gateway is invalid"
            );
            (DataPlane::default(), "invalid")
        }
    };
    let seen = observe(ctx, &namespace).await?;
    let status = View::new(&seen).gateway_status(gateway, &plane, ctx.now());
    report::status(&ctx.api(&namespace), gateway, &status).await?;
    ctx.metrics.outcome("Gateway", outcome);
    let certificates = certificate_names(gateway);
    if certificates
        .iter()
        .all(|name| seen.certificates.contains_key(name))
    {
        Ok(Outcome::AwaitChange)
    } else {
        Ok(Outcome::Requeue(SOON))
    }
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
