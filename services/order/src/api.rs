//! The route table.

use axum::Router;
use service::Api;
use utoipa_axum::routes;

use crate::checkout::api::place_order;
use crate::orders::api::{cancel_order, get_order, list_orders};
use crate::spec::SPEC;
use crate::state::AppState;

fn api() -> Api<AppState> {
    Api::new(&SPEC)
        .routes(routes!(list_orders::handler, place_order::handler))
        .routes(routes!(get_order::handler))
        .routes(routes!(cancel_order::handler))
}

/// The API.
pub fn router(app: AppState) -> Router {
    api().router(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    api().document()
}
