//! Accounts, provided by auth.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use vocabulary::UserId;

/// Route of `GET`: one account.
pub const ACCOUNT: &str = "/internal/v1/accounts/{id}";

/// Path of one account.
pub fn account_path(id: UserId) -> String {
    crate::path(ACCOUNT, id.as_uuid())
}

/// Answer of the lookup, status 200; [`crate::LookupProblem`] otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Id of the account.
    pub id: UserId,
    /// Login name.
    pub username: String,
    /// Email address.
    pub email: String,
    /// Names of its roles.
    pub roles: Vec<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}
