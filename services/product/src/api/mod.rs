//! The route table.

mod claim_reservation;
mod create_product;
mod get_product;
mod import_products;
mod list_categories;
mod list_products;
mod problems;
mod release_reservation;
mod reserve_stock;
mod set_stock;
mod update_product;
mod views;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{post, put};
use chassis::openapi_route;
use contracts::reservations::{CLAIM, RELEASE, RESERVATION};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    info(title = "product", description = "What can be bought: catalogue, prices and stock."),
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
        .routes(routes!(list_products::handler, create_product::handler))
        .routes(routes!(get_product::handler, update_product::handler))
        .routes(routes!(set_stock::handler))
        .routes(routes!(list_categories::handler))
        .merge(import())
}

/// A catalogue is larger than what anybody else sends.
fn import() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(import_products::handler))
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
}

/// The API. Internal routes are not in the document: the gateway never serves them.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    public
        .route(RESERVATION, put(reserve_stock::handler))
        .route(CLAIM, post(claim_reservation::handler))
        .route(RELEASE, post(release_reservation::handler))
        .merge(openapi_route("product", openapi()))
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
