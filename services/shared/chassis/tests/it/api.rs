//! What happens around every handler.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use chassis::{HttpLimits, HttpMetrics, Json, Path, Problem, Query, Registry, layers, trace};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::Answer;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cart {
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    quantity: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<u8>,
}

fn router() -> (Router, Registry) {
    let routes = Router::new()
        .route(
            "/carts",
            post(|Json(cart): Json<Cart>| async { Json(cart) }),
        )
        .route(
            "/things/{id}",
            get(|Path(id): Path<u32>| async move { id.to_string() }),
        )
        .route(
            "/list",
            get(|Query(f): Query<Filter>| async move { format!("{:?}", f.limit) }),
        )
        .route(
            "/trace",
            get(|| async { trace::current().unwrap_or_default() }),
        )
        .route("/panic", get(|| async { panic!("a bug") as &'static str }))
        .route("/slow", get(std::future::pending::<String>))
        .route(
            "/refused",
            get(|| async { Problem::invalid().field("a.b", "is odd") }),
        )
        .route(
            "/short",
            get(|| async {
                let short =
                    json!({"code": "other", "errors": [{"field": "items[0]", "available": 3}]});
                Problem::new(StatusCode::CONFLICT, "out_of_stock", "Not enough in stock")
                    .extend(&short)
            }),
        )
        .route(
            "/import",
            post(|body: String| async move { body.len().to_string() }),
        )
        .route_layer(DefaultBodyLimit::max(2_000));
    let registry = Registry::new().unwrap();
    let metrics = HttpMetrics::new(&registry).unwrap();
    let limits = HttpLimits {
        timeout: Duration::from_millis(100),
        body_bytes: 1_000,
        in_flight: 2,
    };
    (
        layers(routes, limits, metrics, Arc::new(AtomicBool::new(false))),
        registry,
    )
}

#[tokio::test]
async fn a_problem_carries_typed_members_of_its_own() {
    let (router, _) = router();
    let answer = testkit::get("/short").send(&router).await;
    let body = problem(&answer, StatusCode::CONFLICT, "out_of_stock");
    assert_eq!(body["errors"][0]["available"], 3);
    assert_eq!(body["status"], 409);
}

fn problem(answer: &Answer, status: StatusCode, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body: Value = answer.json();
    assert_eq!(body["code"], code);
    assert_eq!(body["status"], status.as_u16());
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    body
}

#[tokio::test]
async fn a_query_with_a_nul_is_the_callers_mistake_and_not_the_servers() {
    let (router, _) = router();
    let answer = testkit::get("/list?limit=1&other=%00").send(&router).await;
    let body = problem(&answer, StatusCode::BAD_REQUEST, "invalid_query");
    assert_eq!(body["errors"][0]["field"], "other");
}

#[tokio::test]
async fn a_bad_body_is_refused_by_naming_the_field() {
    let (router, _) = router();
    let call = testkit::post("/carts").json(&json!({"items": [{"quantity": 1}, {"quantity": -1}]}));
    let body = problem(
        &call.send(&router).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
    );
    assert_eq!(body["errors"][0]["field"], "items[1].quantity");
    for (body, field) in [
        (json!({"items": [], "role": "admin"}), "role"),
        (
            json!({"items": [{"quantity": 1, "size": 2}]}),
            "items[0].size",
        ),
        (json!({}), "items"),
        (json!({"items": [{}]}), "items[0].quantity"),
    ] {
        let call = testkit::post("/carts").json(&body);
        let answer = call.send(&router).await;
        let body = problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid");
        assert_eq!(body["errors"][0]["field"], field);
    }
    // By its order of fields a list could be read as an object; it is refused instead.
    let call = testkit::post("/carts").json(&json!([[{"quantity": 1}]]));
    let body = problem(
        &call.send(&router).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
    );
    assert_eq!(
        body["errors"][0]["message"],
        "must be an object, not a list"
    );
    for malformed in ["{", "{} {}", ""] {
        let call = testkit::post("/carts").body("application/json", malformed);
        let answer = call.send(&router).await;
        assert!(answer.status.is_client_error(), "{malformed:?}");
    }
    let call = testkit::post("/carts").body("text/plain", "{}");
    problem(
        &call.send(&router).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (router, _) = router();
    let call = testkit::post("/carts").body("application/json", "x".repeat(5_000));
    problem(
        &call.send(&router).await,
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
    );
}

#[tokio::test]
async fn a_route_may_have_a_larger_limit_of_its_own() {
    let (router, _) = router();
    let call = testkit::post("/import").body("text/plain", "x".repeat(1_500));
    assert_eq!(
        call.send(&router).await.expect(StatusCode::OK).text(),
        "1500"
    );
}

#[tokio::test]
async fn a_path_that_is_no_id_is_not_found_and_a_bad_query_is_named() {
    let (router, _) = router();
    problem(
        &testkit::get("/things/x").send(&router).await,
        StatusCode::NOT_FOUND,
        "not_found",
    );
    problem(
        &testkit::get("/nothing").send(&router).await,
        StatusCode::NOT_FOUND,
        "not_found",
    );
    let answer = testkit::get("/list?limit=many").send(&router).await;
    let body = problem(&answer, StatusCode::BAD_REQUEST, "invalid_query");
    assert_eq!(body["errors"][0]["field"], "limit");
    let answer = testkit::get("/list?limit=1&cursr=x").send(&router).await;
    let body = problem(&answer, StatusCode::BAD_REQUEST, "invalid_query");
    assert_eq!(body["errors"][0]["field"], "cursr");
    let answer = testkit::put("/list").send(&router).await;
    problem(
        &answer,
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
    );
}

#[tokio::test]
async fn a_panic_is_one_500_and_a_late_answer_one_504() {
    let (router, registry) = router();
    let answer = testkit::get("/panic").send(&router).await;
    problem(&answer, StatusCode::INTERNAL_SERVER_ERROR, "internal");
    problem(
        &testkit::get("/slow").send(&router).await,
        StatusCode::GATEWAY_TIMEOUT,
        "timeout",
    );
    let text = String::from_utf8(registry.render().unwrap()).unwrap();
    assert!(text.contains("http_server_active_requests 0"), "{text}");
    assert!(text.contains(
        r#"http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="500",http_route="/panic"} 1"#
    ), "{text}");
}

#[tokio::test]
async fn more_requests_than_may_be_in_flight_are_told_to_come_again() {
    let (router, _) = router();
    let slow = || testkit::get("/slow").send(&router);
    let quick = async {
        tokio::task::yield_now().await;
        testkit::get("/trace").send(&router).await
    };
    let (_, _, answer) = futures::join!(slow(), slow(), quick);
    problem(&answer, StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn trace_and_request_id_are_taken_up_and_others_are_minted() {
    let (router, _) = router();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = testkit::get("/trace")
        .header("traceparent", parent)
        .header("x-request-id", "r-1");
    let answer = call.send(&router).await;
    assert_eq!(answer.header("x-request-id"), "r-1");
    assert!(
        answer
            .text()
            .starts_with("00-0af7651916cd43dd8448eb211c80319c-")
    );
    assert_ne!(answer.text(), parent, "a span of its own");

    for bad in [
        "",
        "00-0-0-0",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        let answer = testkit::get("/trace")
            .header("traceparent", bad)
            .send(&router)
            .await;
        assert_eq!(answer.text().len(), 55, "{bad}");
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
}

#[tokio::test]
async fn labels_do_not_grow_with_what_clients_send() {
    let (router, registry) = router();
    for n in 0..50 {
        testkit::get(&format!("/things/{n}")).send(&router).await;
        testkit::get(&format!("/nothing/{n}")).send(&router).await;
    }
    let method = http::Method::from_bytes(b"BREW").unwrap();
    testkit::request(method, "/things/1").send(&router).await;
    let text = String::from_utf8(registry.render().unwrap()).unwrap();
    let series = text
        .lines()
        .filter(|l| l.starts_with("http_server_request_duration_seconds_count"));
    assert_eq!(series.count(), 3, "{text}");
}
