use axum::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::app::{self, TestApp, euros, placed};

const ROOT: Uuid = Uuid::from_u128(1);

async fn list(app: &TestApp, query: &str) -> Value {
    let answer = testkit::get(&format!("/v1/notifications{query}"))
        .bearer(&app.tokens.admin(ROOT))
        .send(&app.router)
        .await;
    answer.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn pages_show_every_message_once_newest_first() {
    let app = app::start().await;
    for n in 1..=5 {
        app.consume(&placed(n, euros(1_200))).await;
        app.clock.advance(chrono::TimeDelta::seconds(1));
    }
    let mut subjects = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = list(&app, &query).await;
        let items = page["items"].as_array().unwrap();
        subjects.extend(
            items
                .iter()
                .map(|item| item["subject"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=2&cursor={cursor}");
    }
    let numbers: Vec<_> = subjects.iter().map(|subject| &subject[11..22]).collect();
    assert_eq!(
        numbers,
        [
            "2026-000005",
            "2026-000004",
            "2026-000003",
            "2026-000002",
            "2026-000001"
        ]
    );
}

#[tokio::test]
async fn a_status_narrows_the_list() {
    let app = app::start().await;
    app.consume(&placed(1, euros(1_200))).await;
    let queued = list(&app, "?status=queued").await;
    let item = &queued["items"][0];
    assert_eq!(
        (&item["status"], &item["template"]),
        (&"queued".into(), &"order_placed".into())
    );
    assert_eq!(
        (&item["recipient"], &item["attempts"]),
        (&"ann@example.com".into(), &0.into())
    );
    assert!(item.get("body_text").is_none());
    assert_eq!(
        list(&app, "?status=dead").await["items"],
        Value::Array(Vec::new())
    );
}

#[tokio::test]
async fn an_invalid_query_is_refused() {
    let app = app::start().await;
    for query in [
        "?status=lost",
        "?limit=0",
        "?limit=101",
        "?limit=x",
        "?cursor=rubbish",
        "?state=dead",
    ] {
        let answer = testkit::get(&format!("/v1/notifications{query}"))
            .bearer(&app.tokens.admin(ROOT))
            .send(&app.router)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_customer_cannot_list_messages() {
    let app = app::start().await;
    let ask = || testkit::get("/v1/notifications");
    assert_eq!(
        ask().send(&app.router).await.status,
        StatusCode::UNAUTHORIZED
    );
    let forged = ask()
        .bearer(&testkit::TestTokens::default().admin(ROOT))
        .send(&app.router)
        .await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
    let customer = ask()
        .bearer(&app.tokens.customer(ROOT))
        .send(&app.router)
        .await;
    assert_eq!(customer.status, StatusCode::FORBIDDEN);
}
