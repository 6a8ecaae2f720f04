use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::app::{self, PASSWORD};

fn ann() -> Value {
    json!({"username": "ann", "email": "Ann@example.com", "password": PASSWORD})
}

#[tokio::test]
async fn registration_answers_as_documented() {
    let app = app::start().await;
    let answer = app
        .post("/v1/users/register", &ann())
        .await
        .expect(StatusCode::CREATED);
    let body: Value = answer.json();
    let id = body["id"].as_str().unwrap().to_owned();
    assert_eq!(
        body,
        json!({"id": id, "username": "ann", "email": "Ann@example.com"})
    );
    assert_eq!(answer.header("location"), format!("/v1/users/{id}"));
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn the_password_is_stored_as_argon2id_with_the_parameters_of_owasp() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    let hash: String = sqlx::query_scalar("select password_hash from auth.accounts")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
}

#[tokio::test]
async fn the_event_is_committed_with_the_account() {
    let app = app::start().await;
    let id = app.register("ann", "ann@example.com").await;
    let (kind, aggregate, body): (String, String, Value) =
        sqlx::query_as("select type, aggregate, body from auth.outbox")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(
        (kind.as_str(), aggregate),
        ("user.registered.v1", id.to_string())
    );
    let payload = json!({"user_id": id, "username": "ann", "email": "ann@example.com"});
    assert_eq!(body["data"], payload);
}

#[tokio::test]
async fn a_taken_address_or_name_is_refused_regardless_of_case() {
    let app = app::start().await;
    app.register("ann", "ann@example.com").await;
    for (username, email, fields) in [
        ("bob", "ANN@example.com", vec!["email"]),
        ("ANN", "bob@example.com", vec!["username"]),
        ("Ann", "Ann@Example.com", vec!["email", "username"]),
    ] {
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        let answer = app
            .post("/v1/users/register", &body)
            .await
            .expect(StatusCode::CONFLICT);
        let body: Value = answer.json();
        let named: Vec<_> = body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["field"].clone())
            .collect();
        assert_eq!(named, fields);
        assert_eq!(answer.code(), "taken");
    }
    assert_eq!(app.count("select count(*) from auth.accounts").await, 1);
    assert_eq!(app.count("select count(*) from auth.outbox").await, 1);
}

#[tokio::test]
async fn of_concurrent_registrations_of_one_address_one_succeeds() {
    let app = app::start().await;
    let mut tries = JoinSet::new();
    for n in 0..12 {
        let router = app.router.clone();
        tries.spawn(async move {
            let body = json!({"username": format!("ann-{n}"), "email": "ann@example.com", "password": PASSWORD});
            testkit::post("/v1/users/register").json(&body).send(&router).await.status
        });
    }
    let statuses = tries.join_all().await;
    let of = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!((of(StatusCode::CREATED), of(StatusCode::CONFLICT)), (1, 11));
    assert_eq!(app.count("select count(*) from auth.outbox").await, 1);
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let app = app::start().await;
    let body = json!({"username": "a b", "email": "nobody", "password": "short"});
    let answer = app.post("/v1/users/register", &body).await;
    let answer = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body: Value = answer.json();
    let named: Vec<_> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].clone())
        .collect();
    assert_eq!(named, ["username", "email", "password"]);
    assert!(
        !answer.text().contains("short"),
        "a password must not be sent back"
    );
}

#[tokio::test]
async fn a_registration_cannot_choose_its_roles() {
    let app = app::start().await;
    for (field, value) in [
        ("roles", json!(["admin"])),
        ("id", json!("00000000-0000-0000-0000-000000000001")),
        ("from_secret", json!(true)),
        ("password_hash", json!("$argon2id$")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut body = ann();
        body[field] = value;
        app.post("/v1/users/register", &body)
            .await
            .expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(app.count("select count(*) from auth.accounts").await, 0);
    app.register("ann", "ann@example.com").await;
    let roles: Vec<String> = sqlx::query_scalar("select roles from auth.accounts")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(roles, ["customer"]);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let app = app::start().await;
    let send =
        |kind: &'static str, body: Vec<u8>| testkit::post("/v1/users/register").body(kind, body);
    let text = send("text/plain", b"{}".to_vec()).send(&app.router).await;
    assert_eq!(text.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let broken = send("application/json", b"{\"username\":".to_vec())
        .send(&app.router)
        .await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    let large = format!("{{\"username\": \"{}\"}}", "x".repeat(300 * 1024));
    let large = send("application/json", large.into_bytes())
        .send(&app.router)
        .await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}
