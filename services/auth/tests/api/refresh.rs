use auth::SessionSweep;
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use service::{PeriodicTask, Progress};
use testkit::Answer;
use tokio::task::JoinSet;

use crate::app::{self, PASSWORD, words};

fn successor(answer: &Answer) -> String {
    answer.json::<Value>()["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_token_is_exchanged_for_the_next_pair() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let first = app.session("ann@example.com").await;
    let answer = app.refresh(&first).await.expect(StatusCode::OK);
    let body: Value = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    let second = successor(&answer);
    assert_ne!(first, second);
    app.refresh(&second).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_not_stored_in_clear() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let token = app.session("ann@example.com").await;
    let kept: Vec<u8> = sqlx::query_scalar("select token_hash from auth.refresh_tokens")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(kept.len(), 32);
    assert_ne!(kept, token.as_bytes());
}

#[tokio::test]
async fn of_twenty_tabs_one_gets_the_successor_and_the_session_does_not_fork() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let token = app.session("ann@example.com").await;
    let mut tabs = JoinSet::new();
    for _ in 0..20 {
        let (router, body) = (app.router.clone(), json!({"refresh_token": token}));
        tabs.spawn(async move {
            testkit::post("/v1/auth/refresh")
                .json(&body)
                .send(&router)
                .await
        });
    }
    let answers = tabs.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::OK);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for answer in lost {
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::CONFLICT, "refresh_just_used".into())
        );
    }
    let unused = "select count(*) from auth.refresh_tokens where used_at is null";
    assert_eq!(app.count(unused).await, 1);
    app.refresh(&successor(won[0])).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_later_reuse_of_a_token_ends_the_session() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let other_device = app.session("ann@example.com").await;
    let first = app.session("ann@example.com").await;
    let second = successor(&app.refresh(&first).await.expect(StatusCode::OK));
    app.clock.advance(TimeDelta::seconds(11));

    let stolen = app.refresh(&first).await.expect(StatusCode::UNAUTHORIZED);
    let owner = app.refresh(&second).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(words(&stolen), words(&owner));
    assert_eq!(
        app.state
            .metrics
            .refreshes
            .with_label_values(&["reused"])
            .get(),
        1
    );
    let reason: String =
        sqlx::query_scalar("select revoked_reason from auth.sessions where revoked_at is not null")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(reason, "reuse");
    app.refresh(&other_device).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_token_expires_thirty_days_after_it_was_issued() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let token = app.session("ann@example.com").await;
    app.clock.advance(TimeDelta::days(29));
    let token = successor(&app.refresh(&token).await.expect(StatusCode::OK));
    app.clock.advance(TimeDelta::days(29));
    let token = successor(&app.refresh(&token).await.expect(StatusCode::OK));
    app.clock.advance(TimeDelta::days(30));
    app.refresh(&token).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unknown_refresh_token_is_refused() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let login: Value = app.log_in("ann@example.com", PASSWORD).await.json();
    let access_token = login["access_token"].as_str().unwrap();
    for token in ["", "x", "\u{0}", access_token, &"x".repeat(10_000)] {
        let answer = app.refresh(token).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.code(), "invalid_refresh_token");
    }
}

#[tokio::test]
async fn logging_out_ends_the_session_and_can_be_repeated() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let token = app.session("ann@example.com").await;
    let other_device = app.session("ann@example.com").await;
    for token in [&token, &token, "never issued"] {
        let body = json!({"refresh_token": token});
        app.post("/v1/auth/logout", &body)
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    app.refresh(&token).await.expect(StatusCode::UNAUTHORIZED);
    app.refresh(&other_device).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn only_expired_sessions_are_removed() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    app.session("ann@example.com").await;
    let long = app.session("ann@example.com").await;
    app.clock.advance(TimeDelta::days(20));
    let long = successor(&app.refresh(&long).await.expect(StatusCode::OK));
    app.clock.advance(TimeDelta::days(20));
    // One session with its token, and the used token of the other.
    let sweep = SessionSweep::new(&app.state);
    assert_eq!(sweep.run().await.unwrap(), Progress::More);
    assert_eq!(app.state.metrics.swept.get(), 2);
    assert_eq!(sweep.run().await.unwrap(), Progress::Done);
    assert_eq!(
        app.count("select count(*) from auth.refresh_tokens").await,
        1
    );
    app.refresh(&long).await.expect(StatusCode::OK);
}
