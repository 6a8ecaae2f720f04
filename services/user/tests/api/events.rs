use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use events::{Event, EventMeta, UserRegistered};
use outbox::Handler;
use serde_json::{Value, json};
use user::consume::subscriptions;
use vocabulary::{EventId, UserId};

use crate::app::{self, ANN};

fn registered() -> Event {
    let time: DateTime<Utc> = "2026-01-31T12:00:00Z".parse().unwrap();
    let meta = EventMeta::new(EventId::from_uuid(uuid::Uuid::from_u128(1)), time);
    let payload = UserRegistered {
        user_id: UserId::from_uuid(ANN),
        username: "ann".to_owned(),
        email: "ann@example.com".to_owned(),
    };
    Event::of(meta, &payload).unwrap()
}

#[tokio::test]
async fn an_event_stores_the_profile_without_a_request_to_auth() {
    let app = app::start().await;
    let mut conn = app.pool.acquire().await.unwrap();
    subscriptions(app.state.clone())
        .handle(&mut conn, &registered())
        .await
        .unwrap();
    app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
    assert_eq!(app.asked(), 0);
}

#[tokio::test]
async fn a_late_or_repeated_event_changes_nothing() {
    let app = app::start().await;
    app.put(ANN, &app.ann(), &json!({"first_name": "Ann"}))
        .await
        .expect(StatusCode::OK);
    let mut conn = app.pool.acquire().await.unwrap();
    for _ in 0..2 {
        subscriptions(app.state.clone())
            .handle(&mut conn, &registered())
            .await
            .unwrap();
    }
    let profile: Value = app.get(ANN, &app.ann()).await.json();
    assert_eq!(profile["first_name"], "Ann");
}

#[tokio::test]
async fn the_service_consumes_what_the_event_types_name_it_for() {
    let app = app::start().await;
    let consumer = subscriptions(app.state.clone());
    let named = events::EventType::ALL
        .iter()
        .filter(|ty| ty.consumers().contains(&consumer.consumer()));
    assert!(named.eq(consumer.event_types()));
}
