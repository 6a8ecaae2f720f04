//! The route table and the OpenAPI document.

use axum::Router;
use chassis::{Problem, openapi_route};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::checkout::api::place_order;
use crate::orders::api::{cancel_order, get_order, list_orders};
use crate::state::AppState;
use crate::store::StoreError;

#[derive(OpenApi)]
#[openapi(
    info(title = "order", description = "Checkout, orders and their history."),
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
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list_orders::handler, place_order::handler))
        .routes(routes!(get_order::handler))
        .routes(routes!(cancel_order::handler))
}

/// The API.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    public
        .merge(openapi_route("order", openapi()))
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

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}
