//! Endpoints of accounts.

pub mod get_account;
pub mod register;

use chassis::Problem;

use super::hasher::HashError;

/// 503 while too many hashes wait, so that clients retry; 500 for other failures.
impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::unavailable(2).detail("Too many passwords are being checked"),
            HashError::Password(_) | HashError::Panicked => Self::internal(&error),
        }
    }
}
