use axum::http::{Method, StatusCode};
use testkit::AccessTable;

use crate::app;

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../openapi.json");
    assert!(committed == user::openapi(), "run `make gen`");
}

#[tokio::test]
async fn the_document_is_served() {
    let app = app::start().await;
    let answer = testkit::get("/openapi/user.json").send(&app.router).await;
    assert_eq!(answer.expect(StatusCode::OK).text(), user::openapi());
}

#[tokio::test]
async fn every_route_refuses_callers_that_it_is_not_for() {
    let app = app::start().await;
    AccessTable::new(&user::openapi())
        .internal(
            Method::GET,
            "/internal/v1/users/00000000-0000-0000-0000-000000000a11",
        )
        .check(&app.router, &app.tokens)
        .await;
    assert_eq!(app.asked(), 0, "auth was asked for a refused caller");
}
