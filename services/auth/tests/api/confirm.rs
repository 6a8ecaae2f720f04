//! Registration in a shop that has addresses confirmed.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::Answer;

use crate::app::{self, PASSWORD, TestApp, words};

const ANN: &str = "ann@example.com";

async fn register(app: &TestApp, username: &str, email: &str) -> Answer {
    let body = json!({"username": username, "email": email, "password": PASSWORD});
    app.post("/v1/users/register", &body).await
}

async fn confirm(app: &TestApp, code: &str) -> Answer {
    app.post("/v1/users/confirm", &json!({"code": code})).await
}

/// What the events so far have sent to an address: codes, or that it has an account.
async fn mails(app: &TestApp, email: &str) -> Vec<Option<String>> {
    let sql = "select body->'data' from auth.outbox where type = 'registration.requested.v1' order by position";
    let all: Vec<Value> = sqlx::query_scalar(sql).fetch_all(&app.pool).await.unwrap();
    let to = all.into_iter().filter(|data| data["email"] == email);
    to.map(|data| data["code"].as_str().map(str::to_owned))
        .collect()
}

async fn code(app: &TestApp, email: &str) -> String {
    let last = mails(app, email).await.pop();
    last.unwrap().unwrap()
}

/// Registers and confirms.
async fn account(app: &TestApp, username: &str, email: &str) {
    register(app, username, email)
        .await
        .expect(StatusCode::ACCEPTED);
    let code = code(app, email).await;
    confirm(app, &code).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn an_account_is_created_by_the_code_that_was_sent_to_its_address() {
    let app = app::confirming().await;
    let answer = register(&app, "ann", ANN)
        .await
        .expect(StatusCode::ACCEPTED);
    let body: Value = answer.json();
    assert_eq!(body, json!({"username": "ann", "email": ANN}));
    let early = app.log_in(ANN, PASSWORD).await;
    assert_eq!(early.status, StatusCode::UNAUTHORIZED);

    let code = code(&app, ANN).await;
    let answer = confirm(&app, &code).await.expect(StatusCode::CREATED);
    let body: Value = answer.json();
    let id = body["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/users/{id}"));
    app.log_in(ANN, PASSWORD).await.expect(StatusCode::OK);
    let announced = "select count(*) from auth.outbox where type = 'user.registered.v1'";
    assert_eq!(app.count(announced).await, 1);

    let again = confirm(&app, &code).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(again.code(), "unknown_code");
}

#[tokio::test]
async fn a_taken_address_is_answered_like_a_new_one_and_its_owner_is_told() {
    let app = app::confirming().await;
    account(&app, "ann", ANN).await;
    let taken = register(&app, "mallory", "Ann@Example.com").await;
    let fresh = register(&app, "mallory", "new@example.com").await;
    assert_eq!(taken.status, fresh.status);
    let plain = |answer: &Answer, email: &str| answer.text().replace(email, "EMAIL");
    assert_eq!(
        plain(&taken, "Ann@Example.com"),
        plain(&fresh, "new@example.com")
    );
    // Nor does the attempt to log in tell.
    for email in [ANN, "new@example.com"] {
        let other = app.log_in(email, "another password").await;
        assert_eq!(other.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(mails(&app, "Ann@Example.com").await, [None]);
    assert!(mails(&app, "new@example.com").await[0].is_some());
    app.log_in(ANN, PASSWORD).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_taken_name_is_told_whether_the_address_is_taken_or_not() {
    let app = app::confirming().await;
    account(&app, "ann", ANN).await;
    let both = register(&app, "ANN", ANN).await;
    let name = register(&app, "ANN", "new@example.com").await;
    assert_eq!(both.status, StatusCode::CONFLICT);
    assert_eq!(words(&both), words(&name));
}

#[tokio::test]
async fn a_code_expires_and_what_it_was_for_is_swept() {
    use service::{PeriodicTask, Progress};
    let app = app::confirming().await;
    register(&app, "ann", ANN).await;
    let code = code(&app, ANN).await;
    app.clock.advance(TimeDelta::hours(24));
    confirm(&app, &code).await.expect(StatusCode::NOT_FOUND);
    let sweep = auth::SessionSweep::new(&app.state);
    while sweep.run().await.unwrap() != Progress::Done {}
    let left = "select count(*) from auth.pending_accounts";
    assert_eq!(app.count(left).await, 0);
}

#[tokio::test]
async fn of_two_who_ask_for_one_name_the_first_to_confirm_gets_it() {
    let app = app::confirming().await;
    register(&app, "ann", ANN).await;
    register(&app, "ann", "other@example.com").await;
    let (first, second) = (code(&app, ANN).await, code(&app, "other@example.com").await);
    confirm(&app, &second).await.expect(StatusCode::CREATED);
    let late = confirm(&app, &first).await.expect(StatusCode::CONFLICT);
    assert_eq!(late.code(), "taken");
}

#[tokio::test]
async fn nobody_gets_more_than_a_few_mails_whoever_asks() {
    let app = app::confirming().await;
    for n in 0..6 {
        let name = format!("person-{n}");
        let answer = register(&app, &name, ANN).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{n}");
    }
    assert_eq!(mails(&app, ANN).await.len(), 3);
}

#[tokio::test]
async fn no_code_is_stored_with_the_account_that_it_confirms() {
    let app = app::confirming().await;
    register(&app, "ann", ANN).await;
    let code = code(&app, ANN).await;
    let row: Value = sqlx::query_scalar("select to_jsonb(p) from auth.pending_accounts p")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert!(!row.to_string().contains(&code));
}
