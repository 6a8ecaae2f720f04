//! A process' spans on their way to a collector that is away, slow, hostile, and back: one exporter for a
//! process, so one test that goes through all of it.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;
use prometheus::IntCounterVec;
use testkit::{Collector, Mood, eventually, free_port};
use tokio_util::sync::CancellationToken;
use traces::{Exporter, ExporterOptions, Kind, Span, TraceContext, TracingConfig};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const HURRIED: ExporterOptions = ExporterOptions {
    queue: 64,
    batch: 16,
    delay: Duration::from_millis(20),
    timeout: Duration::from_millis(100),
    pause: Duration::from_millis(10),
    tries: 2,
};

struct World {
    series: IntCounterVec,
    ended: u64,
}

impl World {
    fn count(&self, outcome: &str) -> u64 {
        self.series.with_label_values(&[outcome]).get()
    }

    fn dropped(&self) -> u64 {
        ["overflowed", "failed", "rejected"]
            .map(|outcome| self.count(outcome))
            .iter()
            .sum()
    }

    /// Ends so many spans, as requests would do; none of them may be held up.
    fn end(&mut self, spans: u64) {
        let began = Instant::now();
        for _ in 0..spans {
            drop(Span::begin(Kind::Internal, "work", parent()));
        }
        self.ended += spans;
        let took = began.elapsed();
        assert!(
            took < Duration::from_millis(200),
            "{spans} spans took {took:?}"
        );
    }

    /// Waits until nothing waits: every span that ended has become something.
    async fn settled(&self, what: &str) {
        eventually(what, || async {
            (self.dropped() + self.count("exported") == self.ended).then_some(())
        })
        .await;
    }
}

fn parent() -> Option<TraceContext> {
    TraceContext::parse(PARENT)
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the delivery is waited for")]
async fn a_collector_that_is_away_slow_or_hostile_costs_spans_and_nothing_else() {
    let call = Span::below(Kind::Client, "call", parent().expect("one"));
    assert!(
        call.is_none(),
        "nothing is recorded before there is an exporter"
    );
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let attributes = "service.namespace=shops,service.instance.id=order-1,nonsense";
    let config = TracingConfig {
        otlp_endpoint: format!("http://{address}/"),
        otel_resource_attributes: attributes.parse().expect("pairs"),
        ..TracingConfig::default()
    };
    let made = Exporter::new(&config, "order", HURRIED).expect("an exporter");
    let (exporter, delivery) = made.expect("there is an endpoint");
    let series = exporter.series();
    exporter.install();
    let stop = CancellationToken::new();
    let running = tokio::spawn(delivery.run(stop.clone()));

    let mut world = World { series, ended: 0 };
    nobody_listens(&mut world).await;
    let collector = Collector::at(address).await;
    it_is_slow(&mut world, &collector).await;
    it_refuses(&mut world, &collector).await;
    it_is_well_again(&mut world, &collector).await;
    whoever_began_the_trace_has_decided();
    let last = one_last_span();
    stop.cancel();
    running.await.expect("the delivery ends");
    assert_whole(&collector, &last);
}

/// What does not fit into the queue is gone at once, the rest when it has been tried.
async fn nobody_listens(world: &mut World) {
    world.end(1_000);
    assert!(world.count("overflowed") >= 1_000 - 64 - 3 * 16);
    world
        .settled("nothing waits for a collector that is away")
        .await;
    assert_eq!(world.count("exported"), 0);
    assert!(world.count("failed") > 0);
}

async fn it_is_slow(world: &mut World, collector: &Collector) {
    collector.is_in(Mood::Waits(Duration::from_secs(5)));
    world.end(200);
    world
        .settled("nothing waits for a collector that is slow")
        .await;
    assert_eq!(world.count("exported"), 0);
}

async fn it_refuses(world: &mut World, collector: &Collector) {
    // It does not want them: they are not sent again.
    collector.is_in(Mood::Refuses(StatusCode::UNAUTHORIZED));
    let requests = collector.requests();
    world.end(3);
    world.settled("refused spans are dropped").await;
    assert_eq!(world.count("rejected"), 3);
    assert!(collector.requests() - requests <= 3);

    // It cannot take them: they are.
    let failed = world.count("failed");
    collector.is_in(Mood::Refuses(StatusCode::SERVICE_UNAVAILABLE));
    let requests = collector.requests();
    world.end(1);
    world
        .settled("a collector that cannot is asked again")
        .await;
    assert_eq!(collector.requests() - requests, 2);
    assert_eq!(world.count("failed") - failed, 1);
}

async fn it_is_well_again(world: &mut World, collector: &Collector) {
    collector.is_in(Mood::Takes);
    world.end(10);
    world.settled("spans are delivered").await;
    assert_eq!(world.count("exported"), 10);
    collector.is_in(Mood::WantsOneLess);
    world.end(1);
    world
        .settled("what was taken in part is counted in part")
        .await;
    assert_eq!(world.count("rejected"), 4);
    collector.is_in(Mood::Takes);
}

fn whoever_began_the_trace_has_decided() {
    let unsampled = TraceContext::parse(&PARENT.replace("-01", "-00"));
    let mut span = Span::begin(Kind::Server, "GET", unsampled);
    assert!(span.record().is_none() && !span.context().is_sampled());
    assert!(Span::below(Kind::Client, "GET", span.context()).is_none());
}

/// Ends just before the process does.
fn one_last_span() -> String {
    let mut last = Span::begin(Kind::Server, "GET", parent());
    let id = last.context().span_id();
    let record = last.record().expect("it is recorded");
    record.set("url.path", "/".repeat(1_000));
    record.fail("500");
    id
}

fn assert_whole(collector: &Collector, id: &str) {
    let spans = collector.of_trace(TRACE);
    let span = spans.iter().find(|span| span.id == id).expect("the last");
    assert_eq!(span.parent, "b7ad6b7169203331");
    assert!(span.is_error && span.kind == 2);
    assert_eq!(span.attributes["error.type"], "500");
    assert_eq!(span.attributes["url.path"].len(), 256);
    let process = span.resource.iter();
    let process: Vec<_> = process
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        process,
        [
            ("service.instance.id", "order-1"),
            ("service.name", "order"),
            ("service.namespace", "shops"),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ]
    );
}
