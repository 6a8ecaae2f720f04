use contracts::LookupProblem;
use contracts::users::{User as Record, user_path};
use vocabulary::UserId;

use super::call::{Caller, Unavailable};

/// Client of service user.
#[derive(Clone)]
pub(crate) struct User(pub(super) Caller);

impl User {
    pub(crate) async fn find(
        &self,
        id: UserId,
    ) -> Result<Result<Record, LookupProblem>, Unavailable> {
        self.0.get(&user_path(id)).await?.decide()
    }
}
