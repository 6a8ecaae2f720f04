//! The API.

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
use contracts::reservations::{CLAIM, RELEASE, RESERVATION};
use service::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::spec::SPEC;
use crate::state::AppState;

fn api() -> Api<AppState> {
    Api::new(&SPEC)
        .routes(routes!(list_products::handler, create_product::handler))
        .routes(routes!(get_product::handler, update_product::handler))
        .routes(routes!(set_stock::handler))
        .routes(routes!(list_categories::handler))
        .merge(import())
        .internal(RESERVATION, put(reserve_stock::handler))
        .internal(CLAIM, post(claim_reservation::handler))
        .internal(RELEASE, post(release_reservation::handler))
}

/// A catalogue is larger than other request bodies may be.
fn import() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(import_products::handler))
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
}

/// The routes.
pub fn router(app: AppState) -> Router {
    api().router(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    api().document()
}
