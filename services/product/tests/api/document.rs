use axum::http::{Method, StatusCode};
use testkit::AccessTable;

use crate::support::start;

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = include_str!("../../openapi.json");
    assert!(committed == product::openapi(), "run `make gen`");
}

#[tokio::test]
async fn the_document_is_served() {
    let app = start().await;
    let answer = testkit::get("/openapi/product.json")
        .send(&app.router)
        .await;
    assert_eq!(answer.expect(StatusCode::OK).text(), product::openapi());
}

#[tokio::test]
async fn every_route_refuses_callers_that_it_is_not_for() {
    let app = start().await;
    AccessTable::new(&product::openapi())
        .open(&["list_products", "get_product", "list_categories"])
        .internal(
            Method::PUT,
            "/internal/v1/reservations/00000000-0000-0000-0000-000000000a11",
        )
        .internal(
            Method::POST,
            "/internal/v1/reservations/00000000-0000-0000-0000-000000000a11/claim",
        )
        .internal(
            Method::POST,
            "/internal/v1/reservations/00000000-0000-0000-0000-000000000a11/release",
        )
        .check(&app.router, &app.tokens)
        .await;
}
