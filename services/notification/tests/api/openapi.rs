use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::app;

#[test]
fn the_committed_document_is_the_generated_one() {
    let committed = include_str!("../../openapi.json");
    assert!(
        committed == notification::openapi(),
        "run: notification openapi > services/notification/openapi.json"
    );
}

#[tokio::test]
async fn the_document_is_served_and_every_route_in_it_answers() {
    let app = app::start().await;
    let answer = testkit::get("/openapi/notification.json")
        .send(&app.router)
        .await;
    let document: Value = answer.expect(StatusCode::OK).json();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(
            !path.starts_with("/internal"),
            "{path} is nobody's business"
        );
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let status = testkit::request(method, path)
                .send(&app.router)
                .await
                .status;
            assert!(
                status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED,
                "{path} {status}"
            );
        }
    }
}
