use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use contracts::LookupProblem;
use contracts::users::{USER, User};
use vocabulary::UserId;

use super::{Answer, Fakes};

pub(super) fn routes() -> Router<Fakes> {
    Router::new().route(USER, get(find))
}

async fn find(State(fakes): State<Fakes>, Path(id): Path<UserId>, headers: HeaderMap) -> Response {
    let work = |world: &mut super::World| {
        if world.no_users {
            return Answer::problem(&LookupProblem::NotFound);
        }
        Answer::ok(&User {
            id,
            username: "ann".into(),
            email: "ann@example.com".into(),
            first_name: String::new(),
            last_name: String::new(),
        })
    };
    fakes.serve("email", &headers, work).await
}
