//! Workloads of a shop that want the same path. The older one serves it, as among the routes of a Gateway;
//! the other one has no route for it until the older one is deleted or gives the path up. Only the same
//! path conflicts: of two nested ones the longer one takes precedence.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::ServiceDeployment;

use super::{
    checks::{check_routes, check_spec, own_service},
    valid::Taken,
};

/// Whether two workloads want a path of the same shop. Those of the shop itself have paths that no other one
/// may have, whatever is written in their specs.
pub fn are_rivals(one: &ServiceDeployment, other: &ServiceDeployment) -> bool {
    let (a, b) = (&one.metadata, &other.metadata);
    a.namespace == b.namespace
        && a.name != b.name
        && one.spec.storefront_ref == other.spec.storefront_ref
        && own_service(one).is_none()
        && own_service(other).is_none()
        && !paths(one).is_disjoint(&paths(other))
}

/// The paths of a workload that an older one serves.
pub(super) fn taken(service: &ServiceDeployment, rivals: &[Arc<ServiceDeployment>]) -> Taken {
    let mut older: Vec<&ServiceDeployment> = rivals
        .iter()
        .map(|rival| &**rival)
        .filter(|rival| are_rivals(service, rival) && age(rival) < age(service))
        // One that is being deleted, or that has no routes because it is invalid, serves no path.
        .filter(|rival| rival.metadata.deletion_timestamp.is_none())
        .filter(|rival| check_spec(rival).is_ok() && check_routes(rival).is_ok())
        .collect();
    older.sort_by(|a, b| age(a).cmp(&age(b)));
    let mut taken = Taken::new();
    for rival in older {
        let theirs = paths(rival);
        let routes = service.spec.routes.iter();
        for route in routes.filter(|route| theirs.contains(plain(&route.path))) {
            let name = rival.metadata.name.clone().unwrap_or_default();
            taken.entry(route.path.clone()).or_insert(name);
        }
    }
    taken
}

/// Order of precedence: by creation, then by name.
fn age(service: &ServiceDeployment) -> impl Ord + use<'_> {
    let meta = &service.metadata;
    let made = meta.creation_timestamp.as_ref().map(|time| time.0);
    (made.is_none(), made, meta.name.as_deref())
}

fn paths(service: &ServiceDeployment) -> BTreeSet<&str> {
    let routes = service.spec.routes.iter();
    routes.map(|route| plain(&route.path)).collect()
}

/// A path with and without a slash at its end is the same one.
fn plain(path: &str) -> &str {
    path.trim_end_matches('/')
}
