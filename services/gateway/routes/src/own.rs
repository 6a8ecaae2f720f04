//! The routes that a shop serves at its own Gateway, and the paths that are theirs.
//!
//! By the precedence of the Gateway API, whoever may create an HTTPRoute could stand in front of a shop: with the
//! same path and an older date, a longer path, or a more specific host. So on the Gateway of a shop no other route
//! may match at or below a path of the shop. Which routes are the shop's is written on the Gateway, where the
//! operator puts it right; labels and owner references of a route alone prove nothing.

use std::collections::BTreeMap;

use crate::api::HTTPRoute;
use crate::matcher::{Match, PathMatch};
use crate::path;

/// The routes of a shop: which workload each belongs to, and which paths it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRoutes {
    /// Paths by the name of the route and the name of the ServiceDeployment.
    workloads: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl OwnRoutes {
    /// Adds a path of the route `route`, which the ServiceDeployment `workload` owns.
    pub fn add(&mut self, workload: &str, route: &str, path: &str) {
        let routes = self.workloads.entry(workload.to_owned()).or_default();
        let paths = routes.entry(route.to_owned()).or_default();
        paths.push(path.to_owned());
    }

    /// As the value of an annotation.
    pub fn annotation(&self) -> String {
        serde_json::json!(self.workloads).to_string()
    }

    pub(crate) fn read(annotation: &str) -> Option<Self> {
        let mut workloads: BTreeMap<String, BTreeMap<String, Vec<String>>> =
            serde_json::from_str(annotation).ok()?;
        for text in workloads
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .flatten()
        {
            *text = path::read(text).ok()?;
        }
        Some(Self { workloads })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.workloads.is_empty()
    }

    /// Whether the shop has a workload of this name with routes of its own.
    pub(crate) fn has_workload(&self, name: &str) -> bool {
        self.workloads.contains_key(name)
    }

    /// Whether an object is a route of the shop, or the policy of one, which has its name. An object of nobody, or
    /// of somebody else, that took the name before is not; one that claims the right owner is put right by the
    /// operator.
    pub(crate) fn has<K: kube::Resource>(&self, object: &K) -> bool {
        let meta = object.meta();
        let mut owners = meta.owner_references.iter().flatten();
        let owner = owners.find(|owner| owner.controller == Some(true));
        owner
            .filter(|owner| owner.kind == "ServiceDeployment")
            .and_then(|owner| self.workloads.get(&owner.name))
            .zip(meta.name.as_ref())
            .is_some_and(|(routes, name)| routes.contains_key(name))
    }

    /// Refuses matches at or below a path of another route of the shop. Those of certificate authorities are left to
    /// who answers them, such as cert-manager with a route of its own.
    pub(crate) fn check(&self, route: &HTTPRoute, matches: &[Match]) -> Result<(), String> {
        let is_own = self.has(route);
        for one in matches {
            let (PathMatch::Exact(wanted) | PathMatch::Prefix(wanted)) = &one.path;
            let Some((path, owner)) = self.owner(wanted).filter(|_| !is_acme(wanted)) else {
                continue;
            };
            if is_own && route.metadata.name.as_deref() == Some(owner) {
                continue;
            }
            let wanted = if wanted.is_empty() { "/" } else { wanted };
            let what = if path == "/" {
                String::new()
            } else {
                format!(" (everything at and below {path})")
            };
            return Err(format!(
                "path {wanted} belongs to the shop's own HTTPRoute {owner}{what}; choose another path"
            ));
        }
        Ok(())
    }

    /// The longest path of the shop that takes `wanted`, and the route that it belongs to.
    fn owner(&self, wanted: &str) -> Option<(&str, &str)> {
        let routes = self.workloads.values().flatten();
        let paths =
            routes.flat_map(|(name, paths)| paths.iter().map(move |path| (&**path, &**name)));
        paths
            .filter(|(path, _)| path::takes(path, wanted))
            .max_by_key(|(path, _)| path.len())
    }
}

fn is_acme(path: &str) -> bool {
    path::takes(path::ACME, path)
}
