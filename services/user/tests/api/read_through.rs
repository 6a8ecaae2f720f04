use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{self, ANN};

fn internal(id: Uuid) -> String {
    format!("/internal/v1/users/{id}")
}

#[tokio::test]
async fn a_profile_exists_before_its_event_and_auth_is_asked_once() {
    let app = app::start().await;
    for _ in 0..3 {
        app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
    }
    assert_eq!(app.asked(), 1);
    assert_eq!(
        app.state
            .metrics
            .read_through
            .with_label_values(&["found"])
            .get(),
        1
    );
}

#[tokio::test]
async fn a_profile_can_be_changed_before_it_was_read() {
    let app = app::start().await;
    app.put(ANN, &app.ann(), &json!({"first_name": "Ann"}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(app.asked(), 1);
}

#[tokio::test]
async fn auth_is_not_asked_for_profiles_that_the_caller_may_not_read() {
    let app = app::start().await;
    app.get(Uuid::from_u128(9), &app.ann())
        .await
        .expect(StatusCode::NOT_FOUND);
    assert_eq!(app.asked(), 0);
}

#[tokio::test]
async fn while_auth_fails_the_answer_is_503() {
    let app = app::start().await;
    app.auth.broken.store(true, Ordering::SeqCst);
    let answer = app
        .get(ANN, &app.ann())
        .await
        .expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (answer.code().as_str(), answer.header("retry-after")),
        ("unavailable", "1")
    );
    app.auth.broken.store(false, Ordering::SeqCst);
    app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
    app.auth.broken.store(true, Ordering::SeqCst);
    app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_request_to_auth_times_out_and_holds_no_connection() {
    let app = app::start().await;
    app.auth.hangs.store(true, Ordering::SeqCst);
    let mut asking = tokio::task::JoinSet::new();
    // More than the pool has connections.
    for _ in 0..30 {
        let (router, token) = (app.router.clone(), app.ann());
        asking.spawn(async move {
            testkit::get(&app::path(ANN))
                .bearer(&token)
                .send(&router)
                .await
                .status
        });
    }
    let statuses = asking.join_all().await;
    assert_eq!(statuses, [StatusCode::SERVICE_UNAVAILABLE; 30]);
}

#[tokio::test]
async fn other_services_can_read_a_missing_profile_and_other_callers_cannot() {
    let app = app::start().await;
    let ours = testkit::get(&internal(ANN))
        .bearer("the-internal-token")
        .send(&app.router)
        .await;
    assert_eq!(
        ours.expect(StatusCode::OK).json::<Value>(),
        json!({
            "id": ANN, "username": "ann", "email": "ann@example.com",
            "first_name": "", "last_name": "",
        })
    );
    let unknown = testkit::get(&internal(Uuid::from_u128(9))).bearer("the-internal-token");
    assert_eq!(
        unknown.send(&app.router).await.status,
        StatusCode::NOT_FOUND
    );
    for guess in [app.ann(), app.tokens.admin(ANN), "wrong".to_owned()] {
        let answer = testkit::get(&internal(ANN))
            .bearer(&guess)
            .send(&app.router)
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let answer = testkit::get(&internal(ANN)).send(&app.router).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
