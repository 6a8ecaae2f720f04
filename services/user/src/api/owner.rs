//! Whose profile it is.

use chassis::{Caller, Problem};
use vocabulary::UserId;

/// Refuses whoever is neither the person nor an administrator, as if there were nothing: that an
/// account exists is nobody's business.
pub(super) fn check(caller: &Caller, id: UserId) -> Result<(), Problem> {
    if caller.id() == id.as_uuid() || caller.has_role("admin") {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}
