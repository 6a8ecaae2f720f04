//! A database that was there and is gone. An empty one does not take its place until somebody asks for that:
//! whoever can restore the old one shall not have to find out that customers have been writing into another.

use crds::{Access, DatabaseBinding, Recreation};

use super::audit::{Inside, Seen};
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
        ..before
    }))
}

/// What the status has to say now of a database that is there: whether it has tables is compared with whether
/// a migration `has_run` in it. `None`: nothing else than before. A migration that makes no table runs once
/// more, and no more than that.
pub fn emptied(wanted: &Wanted, inside: &Inside, has_run: bool) -> Option<Recreation> {
    let before = wanted.recreation.clone().unwrap_or_default();
    if wanted.access != Access::Owner || before.pending {
        return None;
    }
    match (inside.tables, before.empty) {
        (true, true) => Some(Recreation {
            empty: false,
            ..before
        }),
        (false, false) if has_run => Some(Recreation {
            number: before.number + 1,
            empty: true,
            ..before
        }),
        (true, false) | (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_runs_again_once_for_tables_that_are_gone() {
        let binding: DatabaseBinding = serde_json::from_value(serde_json::json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
            "metadata": { "name": "auth", "namespace": "shops", "uid": "u1" },
            "spec": { "serverRef": { "storefront": "demo" } },
        }))
        .expect("a binding");
        let mut wanted = Wanted::of(&binding, true).expect("stored");
        let inside = |tables| Inside {
            tables,
            ..Inside::default()
        };
        let mut look = |tables, has_run| {
            let found = emptied(&wanted, &inside(tables), has_run);
            let is_news = found.is_some();
            wanted.recreation = found.or(wanted.recreation.take());
            (
                is_news,
                wanted.recreation.as_ref().map_or(0, |it| it.number),
            )
        };
        assert_eq!(look(false, false), (false, 0), "it has not run yet");
        assert_eq!(look(true, true), (false, 0));
        assert_eq!(look(false, true), (true, 1), "the tables are gone");
        assert_eq!(look(false, true), (false, 1), "it makes none");
        assert_eq!(look(true, true), (true, 1), "it has made them again");
        assert_eq!(look(false, true), (true, 2), "gone once more");
    }
}
