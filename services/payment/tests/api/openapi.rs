use axum::http::{Method, StatusCode};
use testkit::AccessTable;

use super::support::shop;

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../openapi.json");
    assert!(committed == payment::openapi(), "run `make gen`");
}

#[tokio::test]
async fn the_document_is_served() {
    let shop = shop().await;
    let answer = testkit::get("/openapi/payment.json")
        .send(&shop.router)
        .await;
    assert_eq!(answer.expect(StatusCode::OK).text(), payment::openapi());
}

#[tokio::test]
async fn every_route_refuses_callers_that_it_is_not_for() {
    let shop = shop().await;
    AccessTable::new(&payment::openapi())
        .internal(
            Method::PUT,
            "/internal/v1/payments/00000000-0000-0000-0000-000000000a11",
        )
        .internal(
            Method::POST,
            "/internal/v1/payments/00000000-0000-0000-0000-000000000a11/capture",
        )
        .internal(
            Method::POST,
            "/internal/v1/payments/00000000-0000-0000-0000-000000000a11/void",
        )
        .internal(
            Method::POST,
            "/internal/v1/payments/00000000-0000-0000-0000-000000000a11/refund",
        )
        .check(&shop.router, &shop.tokens)
        .await;
}
