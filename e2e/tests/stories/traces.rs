//! (g) One order is one trace, from the edge to the mail, in a collector that is no part of the shop.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use e2e::traces::{Span, collected};

use crate::support::Stage;

/// What makes a shop export its traces to the cluster's collector.
pub const TRACED: &str = "  observability:
    tracing: { otlpEndpoint: \"http://collector.tracing:4318\" }
";

/// Waits until the trace of the one order that was placed is whole.
pub fn the_order_is_one_trace(stage: &Stage) -> anyhow::Result<()> {
    eventually("the order is one trace", Duration::from_secs(30), || {
        let spans = collected(&stage.kubectl, stage.namespace.name())?;
        let edge = spans.iter().find(|span| {
            let says =
                |key: &str, value: &str| span.attributes.get(key).is_some_and(|it| it == value);
            span.service == "shop-gateway"
                && says("http.request.method", "POST")
                && says("url.path", "/v1/orders")
        });
        let edge = edge.context("the edge has no span of the order")?;
        let trace: Vec<&Span> = spans.iter().filter(|it| it.trace == edge.trace).collect();
        ensure!(
            edge.parent.is_empty(),
            "the edge did not begin it: {edge:?}"
        );

        let parts: BTreeSet<&str> = trace.iter().map(|span| span.service.as_str()).collect();
        for part in ["gateway", "order", "product", "payment", "notification"] {
            let part = format!("shop-{part}");
            ensure!(
                parts.contains(part.as_str()),
                "no span of {part}, only of {parts:?}"
            );
        }
        let heard = "process shop.order.placed.v1";
        let heard = |span: &&&Span| span.name == heard && span.service == "shop-notification";
        ensure!(
            trace.iter().any(|span| heard(&span)),
            "notification has not heard of it"
        );

        let ids: BTreeSet<&str> = trace.iter().map(|span| span.id.as_str()).collect();
        let is_orphan = |span: &&&Span| span.id != edge.id && !ids.contains(span.parent.as_str());
        let orphans: Vec<_> = trace.iter().filter(is_orphan).collect();
        ensure!(orphans.is_empty(), "without a parent: {orphans:#?}");
        Ok(())
    })
}
