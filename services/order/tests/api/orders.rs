use axum::http::StatusCode;
use serde_json::Value;

use super::support::{ANN, Shop, body, new_id, shop};

async fn placed(shop: &Shop, key: &str) -> String {
    let order = shop
        .place(key, &body(1, "manual"))
        .await
        .expect(StatusCode::CREATED);
    order.json::<Value>()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_order_is_its_owners_and_an_administrators() {
    let shop = shop(20).await;
    let id = placed(&shop, "k1").await;
    let path = format!("/v1/orders/{id}");
    let (ann, bob) = (shop.tokens.customer(ANN), shop.tokens.customer(new_id()));
    let own = shop.get(&path, &ann).await.expect(StatusCode::OK);
    assert_eq!(own.json::<Value>()["items"][0]["sku"], "MUG");
    shop.get(&path, &shop.tokens.admin(new_id()))
        .await
        .expect(StatusCode::OK);
    shop.get(&path, &bob).await.expect(StatusCode::NOT_FOUND);
    shop.cancel(&id, &bob).await.expect(StatusCode::NOT_FOUND);
    shop.get("/v1/orders/nonsense", &ann)
        .await
        .expect(StatusCode::NOT_FOUND);
    testkit::get(&path)
        .send(&shop.router)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_was_answered_is_what_is_read() {
    let shop = shop(20).await;
    let answered = shop.place("k1", &body(2, "manual")).await.json::<Value>();
    let path = format!("/v1/orders/{}", answered["id"].as_str().unwrap());
    let read = shop
        .get(&path, &shop.tokens.customer(ANN))
        .await
        .json::<Value>();
    assert_eq!(
        answered["placed_at"].as_str().map(instant),
        read["placed_at"].as_str().map(instant)
    );
    let strip = |mut order: Value| {
        order["history"] = Value::Null;
        order
    };
    assert_eq!(strip(answered), strip(read));
}

fn instant(text: &str) -> chrono::DateTime<chrono::Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_list_is_read_a_page_at_a_time_newest_first() {
    let shop = shop(20).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        shop.clock.advance(chrono::TimeDelta::seconds(1));
        ids.insert(0, placed(&shop, &format!("k{n}")).await);
    }
    let ann = shop.tokens.customer(ANN);
    let mut seen = Vec::new();
    let mut path = "/v1/orders?limit=2".to_owned();
    loop {
        let page: Value = shop.get(&path, &ann).await.expect(StatusCode::OK).json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|o| o["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/orders?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let bob = shop.tokens.customer(new_id());
    let none: Value = shop.get("/v1/orders", &bob).await.json();
    assert!(none["items"].as_array().unwrap().is_empty());
    shop.get("/v1/orders?all=true", &bob)
        .await
        .expect(StatusCode::FORBIDDEN);
    let admin = shop.tokens.admin(new_id());
    let all: Value = shop.get("/v1/orders?all=true", &admin).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
    shop.get("/v1/orders?cursor=nonsense", &ann)
        .await
        .expect(StatusCode::BAD_REQUEST);
    shop.get("/v1/orders?limit=101", &ann)
        .await
        .expect(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_cancellation_is_published_once_however_often_it_is_requested() {
    let shop = shop(20).await;
    let id = placed(&shop, "k1").await;
    let ann = shop.tokens.customer(ANN);
    let calls = (0..8).map(|_| shop.cancel(&id, &ann));
    for answer in futures::future::join_all(calls).await {
        let order: Value = answer.expect(StatusCode::OK).json();
        assert_eq!(order["status"], "cancelled");
        assert!(order["_links"].get("cancel").is_none());
        assert_eq!(order["history"][1]["status"], "cancelled");
    }
    assert_eq!(
        shop.published().await,
        ["order.placed.v1", "order.cancelled.v1"]
    );
}
