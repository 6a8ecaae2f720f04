//! The API.

mod list_notifications;
mod replay_notification;
mod view;

use axum::Router;
use service::Api;
use utoipa_axum::routes;

use crate::spec::SPEC;
use crate::state::AppState;

fn api() -> Api<AppState> {
    Api::new(&SPEC)
        .routes(routes!(list_notifications::handler))
        .routes(routes!(replay_notification::handler))
}

/// The routes.
pub fn router(app: AppState) -> Router {
    api().router(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    api().document()
}
