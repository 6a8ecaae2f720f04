//! The story of one class: say whether it is served.

use gateway_routes::api::GatewayClass;
use gateway_routes::gateway_class_status;
use kube::Api;

use super::report;
use crate::context::Context;
use crate::error::{Error, Outcome};

/// Says whether a class is served; those of other controllers are left alone.
pub async fn reconcile(ctx: &Context, class: &GatewayClass) -> Result<Outcome, Error> {
    if let Some(status) = gateway_class_status(class, ctx.now()) {
        report::status(&Api::all(ctx.client.clone()), class, &status).await?;
        ctx.metrics.outcome("GatewayClass", "applied");
    }
    Ok(Outcome::AwaitChange)
}
