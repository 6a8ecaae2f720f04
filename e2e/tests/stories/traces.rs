//! (g) One order is one trace, from the gateway to the mail, in a collector outside of the shop.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use e2e::traces::{Span, collected};

use crate::support::ShopFixture;

/// What makes a shop export its traces to the cluster's collector.
pub const TRACED: &str = "  observability:
    tracing: { otlpEndpoint: \"http://collector.tracing:4318\" }
";

/// Waits until the trace of the one order that was placed is whole.
pub fn the_order_is_one_trace(fixture: &ShopFixture) -> anyhow::Result<()> {
    eventually("the order is one trace", Duration::from_secs(30), || {
        let spans = collected(&fixture.kubectl, fixture.namespace())?;
        let first = spans.iter().find(|span| {
            let has =
                |key: &str, value: &str| span.attributes.get(key).is_some_and(|it| it == value);
            span.service == "shop-gateway"
                && has("http.request.method", "POST")
                && has("url.path", "/v1/orders")
        });
        let first = first.context("the gateway exported no span of the order")?;
        let trace: Vec<&Span> = spans.iter().filter(|it| it.trace == first.trace).collect();
        ensure!(
            first.parent.is_empty(),
            "the trace does not start at the gateway: {first:?}"
        );

        let parts: BTreeSet<&str> = trace.iter().map(|span| span.service.as_str()).collect();
        for part in ["gateway", "order", "product", "payment", "notification"] {
            let part = format!("shop-{part}");
            ensure!(
                parts.contains(part.as_str()),
                "no span of {part}, only of {parts:?}"
            );
        }
        let consumed = |span: &&Span| {
            span.name == "process shop.order.placed.v1" && span.service == "shop-notification"
        };
        ensure!(
            trace.iter().any(consumed),
            "no span of notification's consumer"
        );

        let ids: BTreeSet<&str> = trace.iter().map(|span| span.id.as_str()).collect();
        let is_orphan = |span: &&&Span| span.id != first.id && !ids.contains(span.parent.as_str());
        let orphans: Vec<_> = trace.iter().filter(is_orphan).collect();
        ensure!(
            orphans.is_empty(),
            "spans whose parent is missing: {orphans:#?}"
        );
        Ok(())
    })
}
