//! A database that was there and is gone. An empty one does not take its place until somebody asks for that:
//! whoever can restore the old one shall not have to find out that customers have been writing into another.

use crds::{Access, DatabaseBinding, Recreation};

use super::audit::Seen;
use super::names::Wanted;
use crate::Invalid;
use crate::names::label_value;

/// Annotation on a binding: each new value asks once for an empty database in the place of a lost one.
pub const RECREATE: &str = "storefront.dev/recreate-database";
/// Reason of a binding whose database is lost.
pub const LOST: &str = "DatabaseLost";

/// Whether the database may be made if it is not there. `Ok(Some)`: in the place of a lost one, and this is
/// what the status has to say of it before that is done.
pub fn may_create(
    binding: &DatabaseBinding,
    wanted: &Wanted,
    seen: &Seen,
) -> Result<Option<Recreation>, Invalid> {
    let status = binding.status.as_ref();
    // Named once everything was in place, the database included.
    let was_there = status.is_some_and(|status| status.binding.is_some());
    if wanted.access != Access::Owner || seen.database.is_some() || !was_there {
        return Ok(None);
    }
    let before = wanted.recreation.clone().unwrap_or_default();
    if before.pending {
        return Ok(Some(before));
    }
    let annotations = binding.metadata.annotations.as_ref();
    let request = annotations.and_then(|all| all.get(RECREATE));
    let request = request.map(|value| label_value(value));
    if request.is_none() || request == before.request {
        return Err(Invalid::new(
            LOST,
            format!(
                "database {} was in use and is gone from the server: restore it there, or annotate this object with {RECREATE} and a new value to begin with an empty one, into which a dump can be restored",
                wanted.names.database
            ),
        ));
    }
    Ok(Some(Recreation {
        number: before.number + 1,
        request,
        pending: true,
    }))
}
