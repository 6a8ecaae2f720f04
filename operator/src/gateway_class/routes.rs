//! The story of a namespace's routes and policies: say which are in force.

use gateway_routes::View;

use super::observe::observe;
use super::report;
use crate::context::Context;
use crate::error::{Error, Outcome};

/// Says of every route and policy of a namespace whether it is in force.
pub async fn reconcile(ctx: &Context, namespace: &str) -> Result<Outcome, Error> {
    let seen = observe(ctx, namespace).await?;
    let view = View::new(&seen);
    let now = ctx.now();
    for route in &seen.http_routes {
        let status = view.route_status(route, now);
        report::status(&ctx.api(namespace), &**route, &status).await?;
    }
    for policy in &seen.jwt_policies {
        let status = view.jwt_policy_status(policy, now);
        report::status(&ctx.api(namespace), &**policy, &status).await?;
    }
    for policy in &seen.rate_limit_policies {
        let status = view.rate_limit_policy_status(policy, now);
        report::status(&ctx.api(namespace), &**policy, &status).await?;
    }
    ctx.metrics.outcome("HTTPRoute", "applied");
    Ok(Outcome::AwaitChange)
}
