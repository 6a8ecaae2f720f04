//! The API.

mod get_internal_user;
mod get_profile;
mod update_profile;
mod view;

use axum::Router;
use axum::routing::get;
use service::Api;
use utoipa_axum::routes;

use crate::spec::SPEC;
use crate::state::AppState;

fn api() -> Api<AppState> {
    Api::new(&SPEC)
        .routes(routes!(get_profile::handler, update_profile::handler))
        .internal(contracts::users::USER, get(get_internal_user::handler))
}

/// The routes.
pub fn router(app: AppState) -> Router {
    api().router(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    api().document()
}
