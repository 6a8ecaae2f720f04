use axum::http::{Method, StatusCode};
use testkit::AccessTable;

use crate::app;

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../openapi.json");
    assert!(committed == auth::openapi(), "run `make gen`");
}

#[tokio::test]
async fn the_document_is_served() {
    let app = app::start().await;
    let answer = testkit::get("/openapi/auth.json").send(&app.router).await;
    assert_eq!(answer.expect(StatusCode::OK).text(), auth::openapi());
}

#[tokio::test]
async fn every_route_refuses_callers_that_it_is_not_for() {
    let app = app::start().await;
    AccessTable::new(&auth::openapi())
        .open(&[
            "register", "confirm", "log_in", "refresh", "log_out", "get_jwks",
        ])
        .internal(
            Method::GET,
            "/internal/v1/accounts/00000000-0000-0000-0000-000000000a11",
        )
        .check(&app.router, &app.keys)
        .await;
}
