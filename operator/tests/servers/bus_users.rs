//! The users of the bus.

use std::time::Duration;

use async_nats::jetstream;
use bus::{Bus, BusError, ConsumerSpec, Outgoing};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use testkit::{Nats, nats_configured};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::plan::{Plan, team};

/// Long enough for an answer, and for a refusal to arrive.
const SOON: Duration = Duration::from_secs(5);
/// Long enough for a message that may not arrive.
const QUIET: Duration = Duration::from_millis(500);

async fn world(events: &Value) -> (Plan, Nats) {
    let plan = Plan::with(vec![team("reviews", events), team("silent", &json!(null))]);
    let nats = nats_configured(&plan.file("demo-nats-config", "nats.conf")).await;
    (plan, nats)
}

async fn service(plan: &Plan, nats: &Nats, name: &str) -> Bus {
    let binding = plan.binding(name, "bus", &nats.url());
    bus::connect(&binding, name).await.expect("a client")
}

/// A client without the platform's library, as a team may use it.
async fn raw(plan: &Plan, nats: &Nats, name: &str) -> async_nats::Client {
    let binding = plan.binding(name, "bus", &nats.url());
    let entry = |key| binding.get(key).expect("an entry").to_owned();
    async_nats::ConnectOptions::with_user_and_password(entry("username"), entry("password"))
        .custom_inbox_prefix(entry("inbox-prefix"))
        .request_timeout(Some(QUIET))
        .connect(nats.url())
        .await
        .expect("it logs in")
}

async fn publish(bus: &Bus, event_type: &str) -> Result<(), BusError> {
    publish_as(bus, event_type, event_type).await
}

async fn publish_as(bus: &Bus, event_type: &str, dedupe_id: &str) -> Result<(), BusError> {
    let message = Outgoing {
        event_type,
        key: "1",
        dedupe_id,
        traceparent: None,
        body: "{}",
    };
    match tokio::time::timeout(SOON, bus.publish(message)).await {
        Ok(published) => published.map(drop),
        Err(_) => Err(BusError::TimedOut("publish")),
    }
}

fn consumer(name: &'static str, event_types: &[&'static str]) -> ConsumerSpec {
    ConsumerSpec {
        name,
        event_types: event_types.to_vec(),
    }
}

#[tokio::test]
async fn a_service_does_everything_that_the_outbox_needs() {
    let (plan, nats) = world(&json!(null)).await;
    let order = service(&plan, &nats, "demo-order").await;
    let payment = service(&plan, &nats, "demo-payment").await;
    order.ensure_stream().await.expect("the stream is made");
    let to_payment = consumer("payment", &["order.placed.v1", "order.cancelled.v1"]);
    order
        .ensure_consumer(&to_payment)
        .await
        .expect("the relay makes it");
    let mut receipts = order.receipts("order").await.expect("it listens");
    publish(&order, "order.placed.v1")
        .await
        .expect("its own event");

    let mut subscription = payment.subscribe(&to_payment).await.expect("it subscribes");
    let message = tokio::time::timeout(SOON, subscription.next()).await;
    let message = message.expect("in time").expect("a message");
    subscription.ack(&[message.position]).await;
    order
        .holds(message.position, "order.placed.v1")
        .await
        .expect("it asks for a message");
    payment
        .acknowledged("payment")
        .await
        .expect("it reads its consumer");
    let stream = payment.ensure_stream().await.expect("the stream is there");
    payment
        .check("payment", &stream.id)
        .await
        .expect("it reads both");
    subscription.close().await;
    payment
        .send_receipts("order", Bytes::from_static(b"done"))
        .await
        .expect("sent");
    let receipt = tokio::time::timeout(SOON, receipts.next()).await;
    assert_eq!(receipt.expect("in time").as_deref(), Some(&b"done"[..]));

    // A consumer of one type has another subject by which it is made.
    let to_order = consumer("order", &["payment.captured.v1"]);
    payment
        .ensure_consumer(&to_order)
        .await
        .expect("the relay makes it");
    order
        .subscribe(&to_order)
        .await
        .expect("it subscribes")
        .close()
        .await;
}

#[tokio::test]
async fn a_service_cannot_publish_the_event_of_another_one() {
    let (plan, nats) = world(&json!(null)).await;
    let payment = service(&plan, &nats, "demo-payment").await;
    payment.ensure_stream().await.expect("the stream is made");
    assert!(publish(&payment, "order.cancelled.v1").await.is_err());
}

#[tokio::test]
async fn a_team_publishes_below_its_name_and_receives_what_it_subscribes_to() {
    let events = json!({ "publishes": ["posted.v1"], "subscribes": ["order.paid.v1"] });
    let (plan, nats) = world(&events).await;
    let order = service(&plan, &nats, "demo-order").await;
    order.ensure_stream().await.expect("the stream is made");
    order
        .ensure_consumer(&consumer("notification", &["order.paid.v1"]))
        .await
        .expect("made");
    let reviews = raw(&plan, &nats, "reviews").await;
    let context = jetstream::new(reviews.clone());

    let mut live = reviews
        .subscribe("shop.order.paid.v1")
        .await
        .expect("asked");
    reviews.flush().await.expect("a round trip");
    // The server may learn of the subscription after the first of them.
    let mut message = None;
    for dedupe_id in ["1", "2", "3", "4", "5"] {
        publish_as(&order, "order.paid.v1", dedupe_id)
            .await
            .expect("published");
        message = tokio::time::timeout(QUIET, live.next())
            .await
            .ok()
            .flatten();
        if message.is_some() {
            break;
        }
    }
    assert!(message.is_some(), "a live message");

    let posted = context
        .publish("shop.team.reviews.posted.v1", "{}".into())
        .await;
    posted.expect("sent").await.expect("it is stored");
    for forged in [
        "shop.order.cancelled.v1",
        "shop.team.other.posted.v1",
        "receipts.order",
    ] {
        let published = context.publish(forged, "{}".into()).await.expect("sent");
        assert!(published.await.is_err(), "{forged} is refused");
    }
}

#[tokio::test]
async fn a_team_sees_nothing_that_it_did_not_subscribe_to() {
    let (plan, nats) = world(&json!({ "subscribes": ["order.paid.v1"] })).await;
    let order = service(&plan, &nats, "demo-order").await;
    order.ensure_stream().await.expect("the stream is made");
    for (name, subject) in [
        ("reviews", "shop.>"),
        ("reviews", "shop.order.placed.v1"),
        ("reviews", "_INBOX.>"),
        ("reviews", "receipts.order"),
        ("silent", "shop.order.paid.v1"),
        ("silent", ">"),
    ] {
        let client = raw(&plan, &nats, name).await;
        let mut seen = client.subscribe(subject).await.expect("asked");
        client.flush().await.expect("a round trip");
        for event in ["order.placed.v1", "order.paid.v1"] {
            let dedupe_id = format!("{event} for {name} at {subject}");
            publish_as(&order, event, &dedupe_id)
                .await
                .expect("published");
        }
        let message = tokio::time::timeout(QUIET, seen.next()).await;
        assert!(
            !matches!(message, Ok(Some(_))),
            "{name} received from {subject}"
        );
    }
}

#[tokio::test]
async fn a_question_whether_the_bus_takes_an_event_reaches_nobody_who_listens() {
    let (plan, nats) = world(&json!({ "subscribes": ["order.paid.v1"] })).await;
    let order = service(&plan, &nats, "demo-order").await;
    order.ensure_stream().await.expect("the stream is made");
    let reviews = raw(&plan, &nats, "reviews").await;
    let mut seen = reviews
        .subscribe("shop.order.paid.v1")
        .await
        .expect("asked");
    reviews.flush().await.expect("a round trip");
    order.try_publish("order").await.expect("it is taken");
    let payment = service(&plan, &nats, "demo-payment").await;
    payment.try_publish("payment").await.expect("it is taken");
    let foreign = tokio::time::timeout(SOON, payment.try_publish("order")).await;
    assert!(!matches!(foreign, Ok(Ok(()))), "{foreign:?}");
    let message = tokio::time::timeout(QUIET, seen.next()).await;
    assert!(!matches!(message, Ok(Some(_))), "{message:?}");
}

#[tokio::test]
async fn a_team_can_neither_change_the_stream_nor_read_it_whole() {
    let (plan, nats) = world(&json!({ "subscribes": ["order.paid.v1"] })).await;
    let order = service(&plan, &nats, "demo-order").await;
    order.ensure_stream().await.expect("the stream is made");
    let reviews = raw(&plan, &nats, "reviews").await;
    let pull = |filter: &str| {
        json!({ "stream_name": "SHOP", "config": { "durable_name": "reviews_all", "name": "reviews_all",
            "filter_subject": filter, "ack_policy": "explicit" } })
    };
    for (subject, body) in [
        ("STREAM.PURGE.SHOP", json!({})),
        ("STREAM.DELETE.SHOP", json!({})),
        ("STREAM.MSG.GET.SHOP", json!({ "seq": 1 })),
        ("CONSUMER.DELETE.SHOP.order", json!({})),
        ("CONSUMER.CREATE.SHOP.reviews_all", pull("shop.>")),
        (
            "CONSUMER.CREATE.SHOP.reviews_all.shop.order.paid.v1",
            pull("shop.order.paid.v1"),
        ),
        ("CONSUMER.DURABLE.CREATE.SHOP.reviews_all", pull("shop.>")),
    ] {
        let body = body.to_string().into();
        let answer = reviews.request(format!("$JS.API.{subject}"), body).await;
        assert!(answer.is_err(), "{subject} is answered: {answer:?}");
    }
}

#[tokio::test]
async fn nobody_logs_in_without_a_login() {
    let (_plan, nats) = world(&json!(null)).await;
    assert!(async_nats::connect(nats.url()).await.is_err());
}

/// Status of the answer of the monitoring port.
async fn monitored(nats: &Nats, path: &str) -> String {
    let stream = tokio::net::TcpStream::connect(nats.monitor()).await;
    let mut stream = stream.expect("it listens");
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.expect("an answer");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_monitoring_port_answers_the_kubelet_and_nobody_who_does_not_know_the_path() {
    let (plan, nats) = world(&json!(null)).await;
    let health = plan.startup_path("demo-nats");
    assert_eq!(monitored(&nats, &health).await, "200", "{health}");
    for path in [
        "/",
        "/healthz",
        "/varz",
        "/connz?auth=1",
        "/subsz",
        "/accountz",
    ] {
        assert_eq!(monitored(&nats, path).await, "404", "{path}");
    }
}
