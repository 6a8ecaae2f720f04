use axum::http::StatusCode;
use serde_json::Value;
use testkit::AccessTable;

use super::support::shop;

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../openapi.json");
    assert!(committed == order::openapi(), "run `make gen`");
}

#[tokio::test]
async fn the_document_is_served() {
    let shop = shop(1).await;
    let answer = testkit::get("/openapi/order.json").send(&shop.router).await;
    assert_eq!(answer.expect(StatusCode::OK).text(), order::openapi());
}

#[tokio::test]
async fn every_route_refuses_callers_that_it_is_not_for() {
    let shop = shop(1).await;
    AccessTable::new(&order::openapi())
        .check(&shop.router, &shop.tokens)
        .await;
    assert_eq!(shop.count("orders.checkouts").await, 0);
}

#[test]
fn the_document_names_what_an_open_payment_adds() {
    let document: Value = serde_json::from_str(&order::openapi()).unwrap();
    let order = &document["components"]["schemas"]["OrderView"];
    assert!(order["properties"]["next_action"].is_object());
    let required = order["required"].as_array().unwrap();
    assert!(!required.iter().any(|field| field == "next_action"));
}
