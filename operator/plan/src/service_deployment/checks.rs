//! Checks of a spec that need nothing but the spec and its shop.

use std::collections::BTreeSet;

use crds::{ServiceDeployment, Uses};

use crate::{Invalid, names::service_called, storefront::platform_path};

/// Folders under `/bindings` that the platform itself fills.
const BUS_FOLDER: &str = "bus";
const CACHE_FOLDER: &str = "cache";
/// Reason of a workload that wants a path of another one.
pub(super) const PATH_TAKEN: &str = "PathTaken";

pub(super) fn check_spec(service: &ServiceDeployment) -> Result<(), Invalid> {
    let spec = &service.spec;
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() || name.len() > 53 {
        return Err(Invalid::new(
            "NameTooLong",
            "metadata.name must have 1 to 53 characters; create a ServiceDeployment with a shorter name",
        ));
    }
    if spec.metrics_port == Some(spec.port) {
        return Err(Invalid::new(
            "PortTwice",
            "spec.metricsPort: leave it out when metrics are served on spec.port",
        ));
    }
    let mut folders: Vec<&str> = spec
        .bindings
        .iter()
        .map(crds::ServiceBinding::folder)
        .collect();
    folders.extend(spec.uses.iter().map(|part| folder_of(*part)));
    let mut seen = BTreeSet::new();
    if let Some(twice) = folders.into_iter().find(|folder| !seen.insert(*folder)) {
        return Err(Invalid::new(
            "BindingNameTwice",
            format!(
                "spec.bindings: two bindings are called {twice}; give one of them another name"
            ),
        ));
    }
    Ok(())
}

/// A team's service may not serve a path of the shop's own services: a route below one of theirs would
/// take precedence, and receive logins and orders.
pub(super) fn check_routes(service: &ServiceDeployment) -> Result<(), Invalid> {
    for route in &service.spec.routes {
        if let Some((path, owner)) = platform_path(&route.path) {
            return Err(Invalid::new(
                PATH_TAKEN,
                format!(
                    "spec.routes: {} belongs to the shop's own {owner} (everything at and below {path}); choose another path",
                    route.path
                ),
            ));
        }
    }
    Ok(())
}

/// The service of its shop that a workload runs, where it is one of the shop's own.
pub(super) fn own_service(service: &ServiceDeployment) -> Option<service_catalogue::Service> {
    let name = service.metadata.name.as_deref()?;
    service_called(&service.spec.storefront_ref.name, name)
}

/// Folder under `/bindings` of a part of the platform.
pub(super) fn folder_of(part: Uses) -> &'static str {
    match part {
        Uses::Bus => BUS_FOLDER,
        Uses::Cache => CACHE_FOLDER,
    }
}
