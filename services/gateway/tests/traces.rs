//! The edge's own span: below the client's, above the backend's. A process has one exporter, so this is
//! not among the tests of the edge, which have none.
#![expect(
    clippy::disallowed_methods,
    reason = "tests have no drain that would have to wait for what they spawn, and their clock is the real one"
)]

#[expect(
    dead_code,
    clippy::needless_pass_by_value,
    reason = "it is made for the tests of the edge"
)]
#[path = "edge/support.rs"]
mod support;

use chassis::Spans;
use serde_json::Value;
use testkit::{Collector, SeenSpan, eventually};
use traces::TracingConfig;

use support::{Rig, client, json as body};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "b7ad6b7169203331";

/// Asks and says which `traceparent` the backend saw.
async fn ask(rig: &Rig, path: &str, traceparent: Option<String>) -> String {
    let mut request = client().get(rig.url(path)).header("x-request-id", "r-1");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let answer: Value = body(request.send().await.expect("an answer")).await;
    answer["headers"]["traceparent"][0]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn the_only_span_of(collector: &Collector, trace: &str) -> SeenSpan {
    eventually("the span is there", || async {
        collector.of_trace(trace).pop()
    })
    .await
}

#[tokio::test]
async fn the_edge_stands_between_client_and_backend() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let parent = |flags: &str| Some(format!("00-{TRACE}-{CLIENT}-{flags}"));
    // Nothing is exported yet: what a client says passes, and nothing is made up.
    assert_eq!(
        ask(&rig, "/a", parent("01")).await,
        parent("01").expect("one")
    );
    assert_eq!(ask(&rig, "/a", None).await, "");
    assert!(rig.line("r-1").await.get("trace_id").is_none());

    let collector = Collector::start().await;
    let config = TracingConfig {
        otlp_endpoint: collector.url(),
        otel_service_name: "demo-gateway".to_owned(),
        ..TracingConfig::default()
    };
    let shared = rig.gateway.shared();
    let spans = Spans::start("gateway", &config, shared.metrics.registry()).expect("an exporter");

    let seen = ask(&rig, "/a?token=secret", parent("01")).await;
    let span = the_only_span_of(&collector, TRACE).await;
    assert_eq!(seen, format!("00-{TRACE}-{}-01", span.id));
    assert_eq!((span.parent.as_str(), span.kind), (CLIENT, 2));
    assert_eq!(span.name, "GET shop/all");
    assert_eq!(span.resource["service.name"], "demo-gateway");
    let of = |key: &str| span.attributes.get(key).map_or("", String::as_str);
    assert_eq!(of("http.request.method"), "GET");
    assert_eq!(of("http.response.status_code"), "200");
    assert_eq!((of("url.scheme"), of("url.path")), ("http", "/a"));
    assert_eq!(of("server.address"), "127.0.0.1");
    assert!(!format!("{span:?}").contains("secret"));

    // Without a parent a trace begins here.
    let begun = ask(&rig, "/b", None).await;
    let begun: Vec<&str> = begun.split('-').collect();
    let root = the_only_span_of(&collector, begun[1]).await;
    assert_eq!((root.id.as_str(), root.parent.as_str()), (begun[2], ""));

    // Whoever does not want a trace is followed, in a span that is not exported.
    let unwanted = TRACE.replace('4', "5");
    let quiet = ask(&rig, "/c", Some(format!("00-{unwanted}-{CLIENT}-00"))).await;
    assert!(quiet.starts_with(&format!("00-{unwanted}-")) && quiet.ends_with("-00"));

    let exported = "shop_trace_spans_total{outcome=\"exported\"}";
    spans.finish(tokio::time::Instant::now()).await;
    assert_eq!(rig.metric(exported), 2);
    assert!(collector.of_trace(&unwanted).is_empty());
}
