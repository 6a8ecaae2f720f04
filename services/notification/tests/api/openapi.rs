use axum::http::StatusCode;
use testkit::AccessTable;

use crate::app;

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../openapi.json");
    assert!(committed == notification::openapi(), "run `make gen`");
}

#[tokio::test]
async fn the_document_is_served() {
    let app = app::start().await;
    let answer = testkit::get("/openapi/notification.json")
        .send(&app.router)
        .await;
    assert_eq!(
        answer.expect(StatusCode::OK).text(),
        notification::openapi()
    );
}

#[tokio::test]
async fn every_route_refuses_callers_that_it_is_not_for() {
    let app = app::start().await;
    AccessTable::new(&notification::openapi())
        .check(&app.router, &app.tokens)
        .await;
}
