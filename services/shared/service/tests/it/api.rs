//! What `Api` adds to a document, and what it leaves out.

use axum::routing::get;
use http::StatusCode;
use serde_json::Value;
use service::{Api, Service, Spec};
use sqlx::migrate::Migrator;
use utoipa_axum::routes;

static MIGRATOR: Migrator = Migrator::DEFAULT;
const SPEC: Spec = Spec {
    service: Service::Order,
    migrator: &MIGRATOR,
    connections: 1,
};

#[utoipa::path(get, path = "/v1/open", responses((status = 200, description = "Text")))]
async fn open() -> &'static str {
    "open"
}

#[utoipa::path(
    get, path = "/v1/closed", security(("bearer" = ["orders.read"])),
    responses((status = 200, description = "Text"))
)]
async fn closed() -> &'static str {
    "closed"
}

fn parsed(api: Api<()>) -> Value {
    serde_json::from_str(&api.document()).unwrap()
}

#[test]
fn a_document_names_the_service_and_answers_every_other_refusal_with_a_problem() {
    let document = parsed(Api::new(&SPEC).routes(routes!(open)));
    assert_eq!(document["info"]["title"], "order");
    assert_eq!(document["info"]["description"], Service::Order.purpose());
    let default = &document["paths"]["/v1/open"]["get"]["responses"]["default"];
    let schema = &default["content"]["application/problem+json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/Problem");
    for name in ["Problem", "FieldError"] {
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}

#[test]
fn bearer_tokens_are_documented_where_an_operation_needs_one() {
    let scheme = |document: &Value| document["components"]["securitySchemes"]["bearer"].is_object();
    assert!(!scheme(&parsed(Api::new(&SPEC).routes(routes!(open)))));
    assert!(scheme(&parsed(Api::new(&SPEC).routes(routes!(closed)))));
}

#[tokio::test]
async fn internal_routes_are_served_and_not_documented() {
    let api = || {
        Api::new(&SPEC)
            .routes(routes!(open))
            .internal("/internal/v1/orders", get(|| async { "internal" }))
    };
    assert!(!api().document().contains("/internal"));
    let router = api().router(());
    for (path, text) in [("/v1/open", "open"), ("/internal/v1/orders", "internal")] {
        let answer = testkit::get(path).send(&router).await;
        assert_eq!(answer.expect(StatusCode::OK).text(), text);
    }
    let served = testkit::get("/openapi/order.json").send(&router).await;
    assert_eq!(served.text(), api().document());
}
