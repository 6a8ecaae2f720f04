//! The route table and the OpenAPI document.

use axum::Router;
use axum::routing::{post, put};
use chassis::openapi_route;
use contracts::payments::{CAPTURE, PAYMENT, REFUND, VOID};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::attempts::api::{
    authorise_payment, capture_payment, get_payment, refund_payment, void_payment,
};
use crate::state::AppState;
use crate::webhooks;

#[derive(OpenApi)]
#[openapi(
    info(title = "payment", description = "Payments: authorised, captured, voided and refunded."),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn public() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(get_payment::handler))
}

/// The API. Internal routes are not in the document: the gateway never serves them. The route for notifications exists only if
/// a provider sends some.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    let mut routes = public
        .route(PAYMENT, put(authorise_payment::handler))
        .route(CAPTURE, post(capture_payment::handler))
        .route(VOID, post(void_payment::handler))
        .route(REFUND, post(refund_payment::handler));
    if app.providers.any_webhooks() {
        routes = routes.route(webhooks::api::PATH, post(webhooks::api::handler));
    }
    routes
        .merge(openapi_route("payment", openapi()))
        .with_state(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    let mut json = public()
        .into_openapi()
        .to_pretty_json()
        .expect("the document is JSON");
    json.push('\n');
    json
}
