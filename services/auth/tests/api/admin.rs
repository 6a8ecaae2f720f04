use auth::first_admin::{AdminError, Ensured, FirstAdmin, ensure};
use axum::http::StatusCode;
use chassis::Binding;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::app::{self, PASSWORD};

fn secret(username: &str, email: &str, password: &str) -> FirstAdmin {
    let entries = [
        ("username", username),
        ("email", email),
        ("password", password),
    ];
    FirstAdmin::read(&Binding::from_entries("admin", entries)).unwrap()
}

fn root() -> FirstAdmin {
    secret("admin", "admin@demo.localhost.localdomain", PASSWORD)
}

const EMAIL: &str = "admin@demo.localhost.localdomain";

#[tokio::test]
async fn ensuring_the_administrator_twice_creates_one_account() {
    let app = app::start().await;
    assert_eq!(ensure(&app.state, &root()).await.unwrap(), Ensured::Created);
    assert_eq!(
        ensure(&app.state, &root()).await.unwrap(),
        Ensured::Unchanged
    );
    assert_eq!(app.count("select count(*) from auth.accounts").await, 1);
    assert_eq!(
        app.count("select count(*) from auth.outbox").await,
        0,
        "no welcome is sent"
    );
    app.log_in(EMAIL, PASSWORD).await.expect(StatusCode::OK);
    let roles: Vec<String> = sqlx::query_scalar("select roles from auth.accounts")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(roles, ["admin", "customer"]);
}

#[tokio::test]
async fn replicas_that_start_together_create_one_administrator() {
    let app = app::start().await;
    let mut replicas = JoinSet::new();
    for _ in 0..4 {
        let state = app.state.clone();
        replicas.spawn(async move { ensure(&state, &root()).await.unwrap() });
    }
    let ensured = replicas.join_all().await;
    let created = ensured.iter().filter(|e| **e == Ensured::Created).count();
    assert_eq!((created, ensured.len()), (1, 4));
}

#[tokio::test]
async fn a_changed_password_in_the_secret_ends_all_sessions() {
    let app = app::start().await;
    ensure(&app.state, &root()).await.unwrap();
    let session = app.session(EMAIL).await;
    let changed = secret("admin", EMAIL, "another horse battery");
    assert_eq!(
        ensure(&app.state, &changed).await.unwrap(),
        Ensured::Updated
    );
    app.log_in(EMAIL, PASSWORD)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    app.log_in(EMAIL, "another horse battery")
        .await
        .expect(StatusCode::OK);
    app.refresh(&session).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_changed_name_or_address_in_the_secret_changes_the_account() {
    let app = app::start().await;
    ensure(&app.state, &root()).await.unwrap();
    let session = app.session(EMAIL).await;
    let renamed = secret("boss", "boss@example.com", PASSWORD);
    assert_eq!(
        ensure(&app.state, &renamed).await.unwrap(),
        Ensured::Updated
    );
    assert_eq!(app.count("select count(*) from auth.accounts").await, 1);
    app.log_in("boss@example.com", PASSWORD)
        .await
        .expect(StatusCode::OK);
    app.refresh(&session).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_account_with_the_address_of_the_secret_becomes_the_administrators() {
    let app = app::start().await;
    app.register("mallory", EMAIL).await;
    let session = app.session(EMAIL).await;
    let owned = secret("admin", EMAIL, "another horse battery");
    assert_eq!(ensure(&app.state, &owned).await.unwrap(), Ensured::Updated);
    app.log_in(EMAIL, PASSWORD)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    app.refresh(&session).await.expect(StatusCode::UNAUTHORIZED);
    app.log_in(EMAIL, "another horse battery")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_invalid_secret_is_refused_with_the_reason() {
    let app = app::start().await;
    app.register("admin", "ann@example.com").await;
    let taken = ensure(&app.state, &root()).await.unwrap_err();
    assert!(matches!(taken, AdminError::Insert(_)), "{taken}");
    let entries = [
        ("username", "admin"),
        ("email", "nobody"),
        ("password", PASSWORD),
    ];
    let Err(refused) = FirstAdmin::read(&Binding::from_entries("admin", entries)) else {
        panic!("an invalid address was accepted");
    };
    assert!(refused.to_string().contains("email"), "{refused}");
}

#[tokio::test]
async fn tokens_of_the_administrator_carry_its_roles() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let app = app::start().await;
    ensure(&app.state, &root()).await.unwrap();
    let body: Value = app.log_in(EMAIL, PASSWORD).await.json();
    let claims = body["access_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["roles"], serde_json::json!(["admin", "customer"]));
}
