use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{self, PASSWORD};

fn path(id: Uuid) -> String {
    format!("/internal/v1/accounts/{id}")
}

#[tokio::test]
async fn other_services_can_read_an_account() {
    let app = app::start().await;
    let id = app.register("ann", "ann@example.com").await;
    let answer = testkit::get(&path(id))
        .bearer("the-internal-token")
        .send(&app.router)
        .await;
    assert_eq!(
        answer.expect(StatusCode::OK).json::<Value>(),
        json!({
            "id": id, "username": "ann", "email": "ann@example.com", "roles": ["customer"],
            "created_at": "2026-01-31T12:00:00Z",
        })
    );
    let unknown = testkit::get(&path(Uuid::from_u128(1))).bearer("the-internal-token");
    assert_eq!(
        unknown.send(&app.router).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn other_callers_cannot() {
    let app = app::start().await;
    let id = app.register("ann", "ann@example.com").await;
    let login: Value = app.log_in("ann@example.com", PASSWORD).await.json();
    let own = login["access_token"].as_str().unwrap();
    for guess in ["", "the-internal-tokem", own] {
        let answer = testkit::get(&path(id))
            .bearer(guess)
            .send(&app.router)
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{guess}");
    }
    let anonymous = testkit::get(&path(id)).send(&app.router).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
}
