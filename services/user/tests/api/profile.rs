use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{self, ANN, BOB, path};

#[tokio::test]
async fn a_profile_has_the_documented_fields() {
    let app = app::start().await;
    let answer = app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
    assert_eq!(
        answer.json::<Value>(),
        json!({
            "id": ANN, "username": "ann", "email": "ann@example.com",
            "first_name": "", "last_name": "",
        })
    );
    assert_eq!(
        (answer.header("etag"), answer.header("cache-control")),
        ("\"1\"", "private, no-cache")
    );
}

#[tokio::test]
async fn a_change_is_answered_with_the_profile_and_stored() {
    let app = app::start().await;
    let edited = app
        .put(ANN, &app.ann(), &json!({"first_name": "Ann"}))
        .await;
    let edited = edited.expect(StatusCode::OK);
    let body = json!({
        "id": ANN, "username": "ann", "email": "ann@example.com",
        "first_name": "Ann", "last_name": "",
    });
    assert_eq!(
        (edited.json::<Value>(), edited.header("etag")),
        (body.clone(), "\"2\"")
    );
    let read = app.get(ANN, &app.ann()).await;
    assert_eq!((read.json::<Value>(), read.header("etag")), (body, "\"2\""));
    let edited = app
        .put(ANN, &app.ann(), &json!({"last_name": "Lee"}))
        .await
        .json::<Value>();
    assert_eq!(
        (&edited["first_name"], &edited["last_name"]),
        (&json!("Ann"), &json!("Lee"))
    );
}

#[tokio::test]
async fn the_answer_of_get_can_be_put() {
    let app = app::start().await;
    let mut body: Value = app.get(ANN, &app.ann()).await.json();
    body["first_name"] = json!("Ann");
    app.put(ANN, &app.ann(), &body).await.expect(StatusCode::OK);
    body["email"] = json!("other@example.com");
    let refused = app
        .put(ANN, &app.ann(), &body)
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json::<Value>()["errors"][0]["field"], "email");
}

#[tokio::test]
async fn the_profile_of_another_customer_is_not_found() {
    let app = app::start().await;
    app.get(BOB, &app.tokens.customer(BOB))
        .await
        .expect(StatusCode::OK);
    let read = app.get(BOB, &app.ann()).await.expect(StatusCode::NOT_FOUND);
    let edited = app.put(BOB, &app.ann(), &json!({"first_name": "x"})).await;
    edited.expect(StatusCode::NOT_FOUND);
    let nowhere = app.get(Uuid::from_u128(9), &app.ann()).await;
    assert_eq!(read.code(), nowhere.code());
    let name: String =
        sqlx::query_scalar("select first_name from users.profiles where user_id = $1")
            .bind(BOB)
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(name, "");
}

#[tokio::test]
async fn an_administrator_reads_and_changes_any_profile() {
    let app = app::start().await;
    let admin = app.tokens.admin(Uuid::from_u128(1));
    app.get(ANN, &admin).await.expect(StatusCode::OK);
    app.put(ANN, &admin, &json!({"first_name": "Ann"}))
        .await
        .expect(StatusCode::OK);
    app.get(Uuid::from_u128(9), &admin)
        .await
        .expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_change_of_a_stale_version_is_refused() {
    let app = app::start().await;
    let put = |if_match: &'static str, name: &'static str| {
        testkit::put(&path(ANN))
            .bearer(&app.ann())
            .header("if-match", if_match)
            .json(&json!({"first_name": name}))
    };
    put("\"1\"", "Ann")
        .send(&app.router)
        .await
        .expect(StatusCode::OK);
    let stale = put("\"1\"", "Eve")
        .send(&app.router)
        .await
        .expect(StatusCode::PRECONDITION_FAILED);
    assert_eq!(stale.code(), "stale");
    put("\"2\"", "Anna")
        .send(&app.router)
        .await
        .expect(StatusCode::OK);
    put("*", "Anne")
        .send(&app.router)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        app.get(ANN, &app.ann()).await.json::<Value>()["first_name"],
        "Anne"
    );
}

#[tokio::test]
async fn of_concurrent_changes_of_one_version_one_succeeds() {
    let app = app::start().await;
    app.get(ANN, &app.ann()).await.expect(StatusCode::OK);
    let mut edits = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (router, token) = (app.router.clone(), app.ann());
        edits.spawn(async move {
            testkit::put(&path(ANN))
                .bearer(&token)
                .header("if-match", "\"1\"")
                .json(&json!({"first_name": format!("Ann {n}")}))
                .send(&router)
                .await
                .status
        });
    }
    let statuses = edits.join_all().await;
    let of = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!(
        (of(StatusCode::OK), of(StatusCode::PRECONDITION_FAILED)),
        (1, 9)
    );
}

#[tokio::test]
async fn only_documented_fields_can_be_changed() {
    let app = app::start().await;
    for field in ["version", "user_id", "created_at", "roles", "is_admin"] {
        let refused = app.put(ANN, &app.ann(), &json!({field: 7})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
    }
    let long = "x".repeat(101);
    let refused = app
        .put(
            ANN,
            &app.ann(),
            &json!({"first_name": long, "last_name": "a\u{0}"}),
        )
        .await;
    let refused: Value = refused.expect(StatusCode::UNPROCESSABLE_ENTITY).json();
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_invalid_id_is_not_found() {
    let app = app::start().await;
    for id in [
        "register",
        "1",
        "%00",
        "00000000-0000-0000-0000-00000000000",
    ] {
        let answer = testkit::get(&format!("/v1/users/{id}")).bearer(&app.ann());
        let status = answer.send(&app.router).await.status;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }
}
