//! The API.

use axum::Router;
use axum::routing::{post, put};
use contracts::payments::{CAPTURE, PAYMENT, REFUND, VOID};
use service::Api;
use utoipa_axum::routes;

use crate::attempts::api::{
    authorise_payment, capture_payment, get_payment, refund_payment, void_payment,
};
use crate::spec::SPEC;
use crate::state::AppState;
use crate::webhooks;

fn api() -> Api<AppState> {
    Api::new(&SPEC)
        .routes(routes!(get_payment::handler))
        .internal(PAYMENT, put(authorise_payment::handler))
        .internal(CAPTURE, post(capture_payment::handler))
        .internal(VOID, post(void_payment::handler))
        .internal(REFUND, post(refund_payment::handler))
}

/// The routes. That of notifications exists only if a provider sends some; it is not in the document.
pub fn router(app: AppState) -> Router {
    if !app.providers.any_webhooks() {
        return api().router(app);
    }
    let notifications = Router::new()
        .route(webhooks::api::PATH, post(webhooks::api::handler))
        .with_state(app.clone());
    api().router(app).merge(notifications)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    api().document()
}
