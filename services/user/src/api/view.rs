//! Profiles as callers see them.

use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::response::{IntoResponse, Response};
use chassis::Json;
use chassis::precondition::etag;
use serde::Serialize;
use utoipa::ToSchema;
use vocabulary::UserId;

use crate::domain::profile::Profile;

/// A profile. Names are empty until they are set.
#[derive(Serialize, ToSchema)]
pub struct ProfileView {
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

/// The answer with a profile and its ETag; caches must not store it.
pub fn show(profile: Profile) -> Response {
    let headers = [
        (ETAG, etag(profile.version)),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    (headers, Json(ProfileView::from(profile))).into_response()
}
