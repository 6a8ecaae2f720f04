//! One request through two services and the bus is one trace, without a hole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use chassis::trace::{TracingConfig, current};
use chassis::{
    Client, HttpLimits, HttpMetrics, Registry, ServeLimits, Spans, http_client, layers, serve,
};
use outbox::{EventMeta, append};
use sqlx::PgPool;
use testkit::{Collector, SeenSpan, eventually};
use tokio::net::TcpListener;
use vocabulary::{Clock, SystemClock};

use crate::broker::Broker;
use crate::world::{SCHEMA, World, new_id, new_order, placed};

const CLIENT: &str = "b7ad6b7169203331";

#[derive(Clone)]
struct Shop {
    pool: PgPool,
    client: Client,
    product: String,
}

/// As order does it: a peer is asked, then the event commits.
async fn place(State(shop): State<Shop>) -> &'static str {
    let reserve = format!("{}/internal/v1/reservations/7?secret=1", shop.product);
    shop.client.get(reserve).send().await.unwrap();
    let mut tx = outbox::pool::begin(&shop.pool).await.unwrap();
    let meta = EventMeta::new(new_id(), SystemClock.now()).traced(current());
    append(&mut tx, SCHEMA, meta, &placed(new_order(), "1"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    "placed"
}

fn service(routes: Router) -> Router {
    let metrics = HttpMetrics::new(&Registry::new().unwrap()).unwrap();
    let draining = Arc::new(AtomicBool::new(false));
    layers(routes, HttpLimits::default(), metrics, draining)
}

/// Two services, of which the second one is called over a socket.
async fn shop(world: &World) -> Router {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let product = format!("http://{}", listener.local_addr().unwrap());
    let reserve = get(|| async { "reserved" });
    let reserve = Router::new().route("/internal/v1/reservations/{id}", reserve);
    let stop = world.tasks.shutdown();
    let serving = serve(listener, service(reserve), ServeLimits::default(), stop);
    world.tasks.spawn("product", serving);
    let state = Shop {
        pool: world.db.pool.clone(),
        client: http_client(Duration::from_secs(5)).unwrap(),
        product,
    };
    service(
        Router::new()
            .route("/v1/orders", post(place))
            .with_state(state),
    )
}

#[tokio::test]
async fn one_request_is_one_trace_through_services_and_bus() {
    let collector = Collector::start().await;
    let config = TracingConfig {
        otlp_endpoint: collector.url(),
        ..TracingConfig::default()
    };
    let spans = Spans::start("order", &config, &Registry::new().unwrap()).unwrap();
    let world = World::running(Broker::nats().await).await;
    let router = shop(&world).await;
    let order = |trace: &str, flags: &str| {
        let parent = format!("00-{trace}-{CLIENT}-{flags}");
        testkit::post("/v1/orders?token=secret").header("traceparent", &parent)
    };
    let (quiet, loud) = (
        "0af7651916cd43dd8448eb211c80319c",
        "4bf92f3577b34da6a3ce929d0e0e4736",
    );
    order(quiet, "00").send(&router).await;
    assert_eq!(order(loud, "01").send(&router).await.text(), "placed");

    let seen = eventually("all of the trace is there", || async {
        let seen = collector.of_trace(loud);
        (seen.len() >= 6).then_some(seen)
    })
    .await;
    world.all_done().await;
    world.tasks.stop().await;
    spans.finish(tokio::time::Instant::now()).await;
    assert_eq!(collector.of_trace(loud), seen, "and nothing else came");
    assert!(
        collector.of_trace(quiet).is_empty(),
        "its client did not want it"
    );
    assert_tree(&seen);
}

fn assert_tree(seen: &[SeenSpan]) {
    let named = |name: &str| {
        let found = seen.iter().filter(|span| span.name == name);
        let found: Vec<&SeenSpan> = found.collect();
        assert!(!found.is_empty(), "no {name} in {seen:#?}");
        found
    };
    let one = |name: &str| named(name)[0];
    let edge = one("POST /v1/orders");
    let call = one("GET");
    let peer = one("GET /internal/v1/reservations/{id}");
    let send = one("send shop.order.placed.v1");
    let process = named("process shop.order.placed.v1");
    assert_eq!(seen.len(), 6);
    assert_eq!(
        [edge.kind, call.kind, send.kind, process[0].kind],
        [2, 3, 4, 5]
    );
    assert_eq!(edge.parent, CLIENT);
    assert_eq!((&call.parent, &peer.parent), (&edge.id, &call.id));
    // What made the event is the parent of all that is done with it.
    assert_eq!(send.parent, edge.id);
    assert!(process.iter().all(|span| span.parent == edge.id));
    let heard: BTreeSet<_> = process
        .iter()
        .map(|span| span.attributes["messaging.consumer.group.name"].as_str())
        .collect();
    assert_eq!(heard, BTreeSet::from(["notification", "payment"]));
    assert!(seen.iter().all(|span| !span.is_error), "{seen:#?}");

    let of = |span: &SeenSpan, key: &str| span.attributes.get(key).cloned().unwrap_or_default();
    assert_eq!(of(edge, "http.request.method"), "POST");
    assert_eq!(of(edge, "http.route"), "/v1/orders");
    assert_eq!(of(edge, "http.response.status_code"), "200");
    assert_eq!(of(edge, "url.path"), "/v1/orders");
    assert_eq!(of(peer, "server.address"), "127.0.0.1");
    assert!(of(call, "url.full").ends_with("/internal/v1/reservations/7"));
    assert_eq!(
        of(send, "messaging.destination.name"),
        "shop.order.placed.v1"
    );
    let said = format!("{seen:?}");
    assert!(!said.contains("secret"), "{said}");
}
