//! Whether the bus takes an event, asked without publishing one.

use bus::nats::Login;
use bus::{Bus, BusError};
use testkit::Nats;

const EVENT: &str = "order.placed.v1";
const USERS: &str = r#"jetstream { store_dir: "/data" }
authorization { users: [
    { user: "may", password: "x" },
    { user: "may-not", password: "x", permissions: { publish: { deny: ["shop.>"] } } },
] }
"#;

async fn connect(server: &Nats, user: &str) -> Bus {
    let login = Login {
        credentials: Some((user, "x")),
        ..Login::default()
    };
    bus::nats::connect(&server.url(), login, "test", 1)
        .await
        .expect("a client")
}

#[tokio::test]
async fn a_bus_that_takes_events_says_so_and_stores_nothing() {
    let server = testkit::nats_configured(USERS).await;
    let bus = connect(&server, "may").await;
    testkit::eventually("the stream is there", || async {
        bus.ensure_stream().await.ok()
    })
    .await;
    let before = bus.ensure_stream().await.expect("the stream");
    for _ in 0..2 {
        bus.try_publish(EVENT).await.expect("it takes events");
    }
    assert_eq!(bus.ensure_stream().await.expect("the stream"), before);
}

#[tokio::test]
async fn a_user_that_may_not_publish_and_a_lost_stream_are_told() {
    let server = testkit::nats_configured(USERS).await;
    let (may, may_not) = (
        connect(&server, "may").await,
        connect(&server, "may-not").await,
    );
    testkit::eventually("it is connected", || async { may.connection() }).await;
    let lost = may.try_publish(EVENT).await;
    assert!(matches!(lost, Err(BusError::Request { .. })), "{lost:?}");
    may.ensure_stream().await.expect("the stream");
    may.try_publish(EVENT).await.expect("it takes events");
    let refused = may_not.try_publish(EVENT).await;
    assert!(refused.is_err(), "{refused:?}");
}
