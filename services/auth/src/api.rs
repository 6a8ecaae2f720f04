//! The API.

use axum::Router;
use axum::routing::get;
use service::Api;
use utoipa_axum::routes;

use crate::accounts::api::{confirm, get_account, register};
use crate::keys::api::get_jwks;
use crate::sessions::api::{log_in, log_out, refresh};
use crate::spec::SPEC;
use crate::state::AppState;

fn api() -> Api<AppState> {
    Api::new(&SPEC)
        .routes(routes!(register::handler))
        .routes(routes!(confirm::handler))
        .routes(routes!(log_in::handler))
        .routes(routes!(refresh::handler))
        .routes(routes!(log_out::handler))
        .routes(routes!(get_jwks::handler))
        .internal(contracts::accounts::ACCOUNT, get(get_account::handler))
}

/// The routes.
pub fn router(app: AppState) -> Router {
    api().router(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    api().document()
}
