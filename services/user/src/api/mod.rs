//! The route table.

mod get_internal_user;
mod get_profile;
mod owner;
mod update_profile;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chassis::precondition::etag;
use chassis::{Json, openapi_route};
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vocabulary::UserId;

use crate::domain::profile::Profile;
use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    info(title = "user", description = "What a person told the shop: profiles."),
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
        .routes(routes!(get_profile::handler, update_profile::handler))
}

/// The API. Internal routes are not in the document: the gateway never serves them.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    public
        .route("/internal/v1/users/{id}", get(get_internal_user::handler))
        .merge(openapi_route("user", openapi()))
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

/// A profile. Names are empty strings until they are told.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileView {
    /// Id of the account.
    id: UserId,
    /// Name of the account.
    #[schema(example = "ann")]
    username: String,
    /// Address of the account.
    #[schema(example = "ann@example.com")]
    email: String,
    /// First name.
    #[schema(example = "Ann")]
    first_name: String,
    /// Last name.
    #[schema(example = "Lee")]
    last_name: String,
}

impl From<Profile> for ProfileView {
    fn from(profile: Profile) -> Self {
        Self {
            id: profile.id,
            username: profile.username,
            email: profile.email,
            first_name: profile.first_name,
            last_name: profile.last_name,
        }
    }
}

/// A profile with its ETag; caches on the way must not keep it.
fn show(profile: Profile) -> Response {
    let headers = [
        (ETAG, etag(profile.version)),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    (headers, Json(ProfileView::from(profile))).into_response()
}
