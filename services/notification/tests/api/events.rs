use std::time::Duration;

use events::EventType;
use notification::{Listener, SCHEMA};
use outbox::{Consumer, ConsumerOptions, EffectError, Effects};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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
            Listener::new(&state).apply(&mut tx, &event).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    listeners.join_all().await;
    assert_eq!(app.count(MESSAGES).await, 1);
}

#[tokio::test]
async fn an_event_that_the_bus_delivers_again_and_again_is_one_message() {
    let app = app::start().await;
    let nats = testkit::nats().await;
    let bus = outbox::bus::connect(&nats.url(), None, "test")
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
        // Without a message id the stream cannot drop a copy: only the inbox and the table can.
        for event in &said {
            let body = event.to_vec().unwrap();
            bus.publish(event.ty.subject(), body.into()).await.unwrap();
        }
        bus.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        (app.count(MESSAGES).await >= 2).then_some(())
    })
    .await;
    for _ in 0..20 {
        for event in &said {
            bus.publish(event.ty.subject(), event.to_vec().unwrap().into())
                .await
                .unwrap();
        }
    }
    let last = paid(3);
    bus.publish(last.ty.subject(), last.to_vec().unwrap().into())
        .await
        .unwrap();
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
        .apply(&mut conn, &placed(1, euros(i64::MAX)))
        .await;
    assert!(matches!(result, Err(EffectError::Poison(_))), "{result:?}");
}

#[tokio::test]
async fn the_room_hears_what_the_table_of_events_says_it_must() {
    let app = app::start().await;
    let listener = Listener::new(&app.state);
    let must = EventType::ALL
        .iter()
        .filter(|t| t.consumers().contains(&listener.consumer()));
    assert!(must.eq(listener.subjects()));
}
