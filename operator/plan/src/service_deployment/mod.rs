//! ServiceDeployment: one workload of a shop, built-in or a team's own.

mod checks;
mod desired;
mod migration;
mod network;
mod rivals;
mod routes;
mod status;
mod valid;
mod validate;
mod workload;

use std::collections::BTreeMap;

use crds::{DatabaseBinding, ServiceDeployment, Storefront, Uses};
use k8s_openapi::api::batch::v1::Job;

use crate::backing::role::binding_secret;

pub use desired::{desired, inputs};
pub use migration::job_name;
pub(crate) use network::GATEWAY_LABEL;
pub use rivals::are_rivals;
pub use status::{asking, children, status, unready};
pub use valid::{Migration, Valid};
pub use validate::validate;

/// What is known about the cluster around a ServiceDeployment.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The shop of `spec.storefrontRef`.
    pub storefront: Option<Storefront>,
    /// The DatabaseBindings of `spec.bindings` that exist, by name.
    pub bindings: BTreeMap<String, DatabaseBinding>,
    /// [`crate::hash::of_secret`] of each Secret of [`secrets_of`] that exists, by name.
    pub secrets: BTreeMap<String, String>,
    /// This object's Jobs (label `storefront.dev/owner-uid`), by name.
    pub jobs: BTreeMap<String, Job>,
    /// The workloads that are [`are_rivals`] of this one.
    pub rivals: Vec<ServiceDeployment>,
}

/// Names of the DatabaseBindings that the spec refers to.
pub fn bindings_of(service: &ServiceDeployment) -> Vec<String> {
    service
        .spec
        .bindings
        .iter()
        .filter_map(|b| b.database_binding.clone())
        .collect()
}

/// Names of the Secrets that the pods mount; that of a DatabaseBinding is known once it has one.
pub fn secrets_of(
    service: &ServiceDeployment,
    bindings: &BTreeMap<String, DatabaseBinding>,
) -> Vec<String> {
    let databases = service.spec.bindings.iter().filter_map(|b| {
        let binding = bindings.get(b.database_binding.as_ref()?)?;
        Some(binding.status.as_ref()?.binding.as_ref()?.name.clone())
    });
    let named = service
        .spec
        .bindings
        .iter()
        .filter_map(|b| b.secret_ref.as_ref().map(|r| r.name.clone()));
    let platform = service
        .spec
        .uses
        .iter()
        .map(|part| platform_secret(service, *part));
    databases.chain(named).chain(platform).collect()
}

/// The shop's Secret for a part of its platform.
pub(crate) fn platform_secret(service: &ServiceDeployment, part: Uses) -> String {
    let end = binding_secret(part);
    format!("{}-{end}", service.spec.storefront_ref.name)
}
