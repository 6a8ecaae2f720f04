use axum::http::StatusCode;
use serde_json::{Value, json};
use testkit::{get, post, put};
use uuid::Uuid;

use crate::support::{TestApp, start};

const SEED: &str = include_str!("../../seed/products.csv");

async fn import(app: &TestApp, csv: &str) -> testkit::Answer {
    let call = post("/v1/products/import").bearer(&app.admin());
    call.body("text/csv", csv).send(&app.router).await
}

async fn titles(app: &TestApp, query: &str) -> Vec<String> {
    let page = get(&format!("/v1/products?{query}"))
        .send(&app.router)
        .await;
    let page: Value = page.expect(StatusCode::OK).json();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_shipped_catalogue_goes_in_whole_and_twice_is_harmless() {
    let app = start().await;
    let first: Value = import(&app, SEED).await.expect(StatusCode::OK).json();
    assert_eq!(first["created"], SEED.lines().count() - 1);
    let again: Value = import(&app, SEED).await.expect(StatusCode::OK).json();
    assert_eq!(
        (&again["created"], &again["updated"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn words_find_products_and_so_do_words_with_a_mistake() {
    let app = start().await;
    import(&app, SEED).await.expect(StatusCode::OK);
    assert!(titles(&app, "q=espresso").await[0].contains("Espresso"));
    assert!(titles(&app, "q=notebok").await[0].contains("Notebook"));
    assert!(titles(&app, "q=zzzzqqqq").await.is_empty());
    assert!(titles(&app, "q=knife&category=tea").await.is_empty());
}

#[tokio::test]
async fn pages_hold_every_product_once() {
    let app = start().await;
    import(&app, SEED).await.expect(StatusCode::OK);
    for query in ["limit=17", "limit=3&q=dark", "limit=2&q=choclate"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&format!("/v1/products?{query}{cursor}"))
                .send(&app.router)
                .await;
            let page: Value = page.expect(StatusCode::OK).json();
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["id"].to_string()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{query}");
        assert!(count > 2, "{query} found {count}");
    }
}

#[tokio::test]
async fn a_bad_file_writes_nothing_and_names_lines_and_fields() {
    let app = start().await;
    let csv = "sku,title,description,category,on_hand,price_EUR\n\
               GOOD,Good,,things,1,100\n\
               bad sku,,,things,-1,1.50\n";
    let refused = import(&app, csv)
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    let refused: Value = refused.json();
    let fields = refused["errors"].to_string();
    for field in ["line 3, on_hand", "line 3, price_EUR"] {
        assert!(fields.contains(field), "{field} is not in {fields}");
    }
    assert!(titles(&app, "limit=100").await.is_empty());
}

#[tokio::test]
async fn only_administrators_write() {
    let app = start().await;
    let id = app.stocked_product("MINE", 1).await;
    let body = json!({ "sku": "X", "title": "X", "category": "x", "prices": [] });
    let calls = |token: Option<&str>| {
        let paths = [
            post("/v1/products").json(&body),
            put(&format!("/v1/products/{id}")).json(&body),
            put(&format!("/v1/products/{id}/stock")).json(&json!({ "on_hand": 9 })),
            post("/v1/products/import").body("text/csv", "sku\n"),
        ];
        paths.map(|call| match token {
            Some(token) => call.bearer(token),
            None => call,
        })
    };
    for call in calls(None) {
        call.send(&app.router)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    let customer = app.customer();
    for call in calls(Some(&customer)) {
        call.send(&app.router).await.expect(StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn an_edit_wants_the_version_that_was_read() {
    let app = start().await;
    let id = app.stocked_product("EDIT", 1).await;
    let path = format!("/v1/products/{id}");
    let read = get(&path).send(&app.router).await.expect(StatusCode::OK);
    let etag = read.header("etag").to_owned();
    let body = json!({
        "sku": "EDIT", "title": "New title", "category": "things",
        "prices": [{ "minor": 1_200, "currency": "EUR" }]
    });
    let edit = || {
        put(&path)
            .bearer(&app.admin())
            .header("if-match", &etag)
            .json(&body)
    };
    edit().send(&app.router).await.expect(StatusCode::OK);
    edit()
        .send(&app.router)
        .await
        .expect(StatusCode::PRECONDITION_FAILED);
    // The card that was remembered before the edit is gone.
    let read: Value = get(&path)
        .send(&app.router)
        .await
        .expect(StatusCode::OK)
        .json();
    assert_eq!(read["title"], "New title");
}

#[tokio::test]
async fn a_sku_is_taken_once_and_the_shelf_is_not_counted_below_promises() {
    let app = start().await;
    let id = app.stocked_product("ONCE", 5).await;
    let body = json!({
        "sku": "ONCE", "title": "Again", "category": "things",
        "prices": [{ "minor": 1, "currency": "EUR" }]
    });
    let again = post("/v1/products").bearer(&app.admin()).json(&body);
    let again = again.send(&app.router).await.expect(StatusCode::CONFLICT);
    assert_eq!(again.code(), "sku_taken");
    app.reserve(Uuid::from_u128(0xa1), &[(id, 3)])
        .await
        .expect(StatusCode::OK);
    let count = put(&format!("/v1/products/{id}/stock")).bearer(&app.admin());
    let count = count.json(&json!({ "on_hand": 2 })).send(&app.router).await;
    assert_eq!(count.expect(StatusCode::CONFLICT).code(), "stock_promised");
}

#[tokio::test]
async fn products_are_read_while_redis_is_away() {
    let mut app = start().await;
    let id = app.stocked_product("AWAY", 1).await;
    let path = format!("/v1/products/{id}");
    get(&path).send(&app.router).await.expect(StatusCode::OK);
    app.redis.kill();
    get(&path).send(&app.router).await.expect(StatusCode::OK);
    let blind = app.state.metrics.cards.with_label_values(&["blind"]).get();
    assert!(blind > 0, "nobody noticed that Redis is away");
}
