//! Customers, provided by user.

use serde::{Deserialize, Serialize};
use vocabulary::UserId;

/// Route of `GET`: one customer.
pub const USER: &str = "/internal/v1/users/{id}";

/// Path of one customer.
pub fn user_path(id: UserId) -> String {
    crate::path(USER, id.as_uuid())
}

/// Answer of the lookup, status 200; [`crate::LookupProblem`] otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Id of the account.
    pub id: UserId,
    /// Login name of the account.
    pub username: String,
    /// Email address of the account.
    pub email: String,
    /// First name; empty until the customer sets it.
    pub first_name: String,
    /// Last name; empty until the customer sets it.
    pub last_name: String,
}
