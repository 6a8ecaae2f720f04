//! Whether the bus takes and keeps what a service publishes.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use bus::nats::Login;
use bus::{Bus, BusError, ConsumerSpec, Outgoing};
use testkit::{Nats, eventually, eventually_within};

/// An election.
const BOUND: Duration = Duration::from_secs(60);
const USERS: &str = r#"jetstream { store_dir: "/data" }
authorization { users: [
    { user: "may", password: "x" },
    { user: "may-not", password: "x", permissions: { publish: { deny: ["shop.>"] } } },
] }
"#;

async fn connect(servers: &[Nats], user: Option<&str>) -> Bus {
    let urls: Vec<String> = servers.iter().map(Nats::url).collect();
    let login = Login {
        credentials: user.map(|user| (user, "x")),
        ..Login::default()
    };
    bus::nats::connect(&urls.join(","), login, "test", servers.len())
        .await
        .expect("a client")
}

/// A bus whose stream is there.
async fn with_stream(servers: &[Nats], user: Option<&str>) -> Bus {
    let bus = connect(servers, user).await;
    eventually_within(BOUND, "the stream is there", || async {
        bus.ensure_stream().await.ok()
    })
    .await;
    bus
}

fn event<'a>(dedupe_id: &'a str, body: &'a str) -> Outgoing<'a> {
    Outgoing {
        event_type: "order.placed.v1",
        key: "1",
        dedupe_id,
        traceparent: None,
        body,
    }
}

async fn try_in_time(bus: &Bus) -> Result<(), BusError> {
    let tried = tokio::time::timeout(Duration::from_secs(2), bus.try_publish("order")).await;
    tried.unwrap_or(Err(BusError::TimedOut("publish")))
}

async fn is_taken_and_received_by_nobody(servers: &[Nats]) {
    let bus = with_stream(servers, None).await;
    let consumer = ConsumerSpec {
        name: "payment",
        event_types: vec!["order.placed.v1"],
    };
    let mut subscription = bus.subscribe(&consumer).await.expect("it subscribes");
    for _ in 0..20 {
        try_in_time(&bus).await.expect("it is taken");
    }
    let published = bus.publish(event("1", "{}")).await.expect("published");
    let received = subscription.next().await.expect("a message");
    assert_eq!(received.position, published.position);
    subscription.ack(&[received.position]).await;
    // The numbers of the questions are in between: a consumer that has received less is not behind.
    let stream = bus.ensure_stream().await.expect("the stream");
    bus.check("payment", &stream.id).await.expect("in order");
    subscription.close().await;
}

#[tokio::test]
async fn one_server_takes_what_a_service_publishes() {
    is_taken_and_received_by_nobody(&[testkit::nats().await]).await;
}

#[tokio::test]
async fn a_cluster_takes_what_a_service_publishes_also_without_one_server() {
    let mut servers = testkit::nats_cluster(3).await;
    is_taken_and_received_by_nobody(&servers).await;
    let bus = connect(&servers, None).await;
    servers[0].kill();
    eventually_within(BOUND, "two servers take it", || async {
        try_in_time(&bus).await.ok()
    })
    .await;
    servers[1].kill();
    eventually_within(BOUND, "one of three takes nothing", || async {
        try_in_time(&bus).await.err()
    })
    .await;
    servers[1].start().await;
    eventually_within(BOUND, "two servers take it again", || async {
        try_in_time(&bus).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_user_that_may_not_publish_and_a_lost_stream_are_told() {
    let server = [testkit::nats_configured(USERS).await];
    let (may, may_not) = (
        connect(&server, Some("may")).await,
        connect(&server, Some("may-not")).await,
    );
    eventually("it is connected", || async { may.connection() }).await;
    let lost = try_in_time(&may).await;
    assert!(matches!(lost, Err(BusError::Request { .. })), "{lost:?}");
    may.ensure_stream().await.expect("the stream");
    try_in_time(&may).await.expect("it takes events");
    let refused = try_in_time(&may_not).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn servers_that_cannot_write_are_told() {
    for mut servers in [vec![testkit::nats().await], testkit::nats_cluster(3).await] {
        let bus = with_stream(&servers, None).await;
        eventually_within(BOUND, "it is taken", || async {
            try_in_time(&bus).await.ok()
        })
        .await;
        for server in &mut servers {
            server.refuse_writes();
        }
        let told = eventually("it is told", || async { try_in_time(&bus).await.err() }).await;
        let is_named = matches!(told, BusError::NotStored);
        assert!(is_named || servers.len() > 1, "{told:?}");
        // Where the disk has room again they need a restart, as the text says.
        for server in &mut servers {
            server.kill();
            server.start().await;
        }
        eventually_within(BOUND, "it is taken again", || async {
            try_in_time(&bus).await.ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_full_stream_is_told() {
    let server = [testkit::nats().await];
    let client = async_nats::connect(server[0].url())
        .await
        .expect("a client");
    let small = stream::Config {
        name: bus::nats::STREAM.to_owned(),
        subjects: vec!["shop.>".to_owned()],
        retention: stream::RetentionPolicy::Interest,
        discard: stream::DiscardPolicy::New,
        max_bytes: 2 << 20,
        ..stream::Config::default()
    };
    let created = jetstream::new(client).create_stream(small).await;
    created.expect("a stream with little room");
    let bus = connect(&server, None).await;
    eventually("it is taken", || async { try_in_time(&bus).await.ok() }).await;
    let consumer = ConsumerSpec {
        name: "payment",
        event_types: vec!["order.placed.v1"],
    };
    bus.ensure_consumer(&consumer).await.expect("a consumer");
    let body = "x".repeat(600 << 10);
    for dedupe_id in ["1", "2"] {
        bus.publish(event(dedupe_id, &body))
            .await
            .expect("published");
    }
    let told = try_in_time(&bus).await;
    assert!(matches!(told, Err(BusError::Full { .. })), "{told:?}");
}
