use std::time::Duration;

use bus::Outgoing;
use events::EventType;
use notification::{Listener, SCHEMA};
use outbox::{Consumer, ConsumerOptions, Handler, HandlerError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vocabulary::{Clock, EventId, SystemClock, SystemEntropy};

use crate::app::{self, euros, paid, placed, registered};

const MESSAGES: &str = "select count(*) from notification.messages";

#[tokio::test]
async fn each_event_is_one_message_however_often_it_is_heard() {
    let app = app::start().await;
    let all = [
        registered(1, "ann@example.com"),
        placed(2, euros(1_200)),
        paid(3),
    ];
    for _ in 0..3 {
        for event in &all {
            app.hear(event).await;
        }
    }
    assert_eq!(app.count(MESSAGES).await, 3);
    app.hear(&registered(4, "ann@example.com")).await;
    assert_eq!(
        app.count(MESSAGES).await,
        4,
        "another event is another message"
    );
}

#[tokio::test]
async fn one_event_heard_by_many_at_once_is_one_message() {
    let app = app::start().await;
    let mut listeners = JoinSet::new();
    for _ in 0..8 {
        let (state, pool) = (app.state.clone(), app.pool.clone());
        listeners.spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let event = placed(1, euros(1_200));
            Listener::new(&state).handle(&mut tx, &event).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    listeners.join_all().await;
    assert_eq!(app.count(MESSAGES).await, 1);
}

/// Each time under another id, so that the stream cannot drop a copy: only the inbox and the table can.
async fn publish_again(bus: &bus::Bus, event: &events::Event) {
    let id = EventId::mint(SystemClock.now(), &SystemEntropy);
    let message = Outgoing {
        event_type: event.ty.as_str(),
        key: &event.aggregate,
        dedupe_id: &id.to_string(),
        traceparent: None,
        body: &event.to_text().unwrap(),
    };
    // Until the consumer has created it there is no stream.
    let _ = bus.publish(message).await;
}

#[tokio::test]
async fn an_event_that_the_bus_delivers_again_and_again_is_one_message() {
    let app = app::start().await;
    let nats = testkit::nats().await;
    let bus = bus::nats::connect(&nats.url(), None, "test", 1)
        .await
        .unwrap();
    let metrics = outbox::Metrics::new(&app.registry).unwrap();
    let listener = Listener::new(&app.state);
    let options = ConsumerOptions {
        check: Duration::from_millis(200),
        standby: Duration::from_millis(100),
        ..ConsumerOptions::default()
    };
    let consumer =
        Consumer::new(app.pool.clone(), bus.clone(), SCHEMA, listener, metrics).options(options);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(consumer.run(stop.clone()));

    let said = [registered(1, "ann@example.com"), placed(2, euros(1_200))];
    testkit::eventually("both events are heard", || async {
        for event in &said {
            publish_again(&bus, event).await;
        }
        (app.count(MESSAGES).await >= 2).then_some(())
    })
    .await;
    for _ in 0..20 {
        for event in &said {
            publish_again(&bus, event).await;
        }
    }
    let last = paid(3);
    publish_again(&bus, &last).await;
    testkit::eventually("the last event is heard", || async {
        (app.count(MESSAGES).await >= 3).then_some(())
    })
    .await;
    stop.cancel();
    tasks.join_all().await;
    assert_eq!(app.count(MESSAGES).await, 3);
    assert_eq!(
        app.count("select count(*) from notification.inbox").await,
        3
    );
}

#[tokio::test]
async fn an_order_that_cannot_be_written_down_is_poison() {
    let app = app::start().await;
    let mut conn = app.pool.acquire().await.unwrap();
    let result = Listener::new(&app.state)
        .handle(&mut conn, &placed(1, euros(i64::MAX)))
        .await;
    assert!(matches!(result, Err(HandlerError::Poison(_))), "{result:?}");
}

#[tokio::test]
async fn the_room_hears_what_the_table_of_events_says_it_must() {
    let app = app::start().await;
    let listener = Listener::new(&app.state);
    let must = EventType::ALL
        .iter()
        .filter(|t| t.consumers().contains(&listener.consumer()));
    assert!(must.eq(listener.event_types()));
}
