use std::time::Duration;

use bus::Outgoing;
use events::EventType;
use notification::SCHEMA;
use notification::triggers::consume::subscriptions;
use outbox::{Consumer, ConsumerOptions, Handler, HandlerError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vocabulary::{Clock, EventId, SystemClock, SystemEntropy};

use crate::app::{self, euros, paid, placed, registered};

const MESSAGES: &str = "select count(*) from notification.messages";

#[tokio::test]
async fn each_event_is_one_message_however_often_it_is_consumed() {
    let app = app::start().await;
    let all = [
        registered(1, "ann@example.com"),
        placed(2, euros(1_200)),
        paid(3),
    ];
    for _ in 0..3 {
        for event in &all {
            app.consume(event).await;
        }
    }
    assert_eq!(app.count(MESSAGES).await, 3);
    app.consume(&registered(4, "ann@example.com")).await;
    assert_eq!(
        app.count(MESSAGES).await,
        4,
        "another event is another message"
    );
}

#[tokio::test]
async fn one_event_consumed_concurrently_is_one_message() {
    let app = app::start().await;
    let mut consumers = JoinSet::new();
    for _ in 0..8 {
        let (state, pool) = (app.state.clone(), app.pool.clone());
        consumers.spawn(async move {
            let mut tx = outbox::pool::begin(&pool).await.unwrap();
            let event = placed(1, euros(1_200));
            subscriptions(state.clone())
                .handle(&mut tx, &event)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        });
    }
    consumers.join_all().await;
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
async fn an_event_that_the_bus_redelivers_is_one_message() {
    let app = app::start().await;
    let nats = testkit::nats().await;
    let bus = bus::nats::connect(&nats.url(), bus::nats::Login::default(), "test", 1)
        .await
        .unwrap();
    let metrics = outbox::Metrics::new(&app.registry).unwrap();
    let handler = subscriptions(app.state.clone());
    let options = ConsumerOptions {
        check: Duration::from_millis(200),
        standby: Duration::from_millis(100),
        ..ConsumerOptions::default()
    };
    let consumer =
        Consumer::new(app.pool.clone(), bus.clone(), SCHEMA, handler, metrics).options(options);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(consumer.run(stop.clone()));

    let published = [registered(1, "ann@example.com"), placed(2, euros(1_200))];
    testkit::eventually("both events are consumed", || async {
        for event in &published {
            publish_again(&bus, event).await;
        }
        (app.count(MESSAGES).await >= 2).then_some(())
    })
    .await;
    for _ in 0..20 {
        for event in &published {
            publish_again(&bus, event).await;
        }
    }
    let last = paid(3);
    publish_again(&bus, &last).await;
    testkit::eventually("the last event is consumed", || async {
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
async fn an_order_whose_amounts_overflow_is_a_dead_letter() {
    let app = app::start().await;
    let mut conn = app.pool.acquire().await.unwrap();
    let result = subscriptions(app.state.clone())
        .handle(&mut conn, &placed(1, euros(i64::MAX)))
        .await;
    assert!(matches!(result, Err(HandlerError::Poison(_))), "{result:?}");
}

#[tokio::test]
async fn the_service_consumes_what_the_event_types_name_it_for() {
    let app = app::start().await;
    let handler = subscriptions(app.state.clone());
    let must = EventType::ALL
        .iter()
        .filter(|t| t.consumers().contains(&handler.consumer()));
    assert!(must.eq(handler.event_types()));
}
