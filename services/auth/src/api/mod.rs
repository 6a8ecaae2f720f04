//! The route table.

mod get_account;
mod get_jwks;
mod log_in;
mod log_out;
mod network;
mod refresh;
mod register;
mod tokens;

use axum::Router;
use axum::routing::get;
use chassis::{Problem, openapi_route};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::hasher::HashError;
use crate::state::AppState;
use crate::store::StoreError;

#[derive(OpenApi)]
#[openapi(info(
    title = "auth",
    description = "Who somebody is: accounts, passwords, tokens, signing keys."
))]
struct Document;

fn public() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(register::handler))
        .routes(routes!(log_in::handler))
        .routes(routes!(refresh::handler))
        .routes(routes!(log_out::handler))
        .routes(routes!(get_jwks::handler))
}

/// The API. Internal routes are not in the document: the gateway never serves them.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    public
        .route("/internal/v1/accounts/{id}", get(get_account::handler))
        .merge(openapi_route("auth", openapi()))
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

/// Statements fail for reasons that no client can mend.
fn internal(error: &StoreError) -> Problem {
    Problem::internal(error)
}

/// 503 when the queue is full, so that clients come again; the rest is our fault.
fn not_hashed(error: &HashError) -> Problem {
    match error {
        HashError::Busy => Problem::unavailable(2).detail("Too many passwords are being checked"),
        HashError::Password(_) | HashError::Died => Problem::internal(error),
    }
}
