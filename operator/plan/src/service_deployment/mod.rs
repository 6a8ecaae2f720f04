//! ServiceDeployment: one workload of a shop, built-in or a team's own.

mod checks;
mod desired;
mod limits;
mod logins;
mod migration;
mod mounts;
mod network;
mod placement;
mod rivals;
mod routes;
mod status;
mod valid;
mod validate;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::{DatabaseBinding, ServiceDeployment, Storefront, Uses};
use k8s_openapi::api::batch::v1::Job;

use crate::{backing, names, storefront::Data};

pub use desired::{desired, inputs};
pub use limits::{MOUNTABLE, is_mountable};
pub use migration::job_name;
pub(crate) use network::GATEWAY_LABEL;
pub use rivals::are_rivals;
pub use status::{asking, children, status, unready};
pub use valid::{Migration, Valid};
pub use validate::{effective, is_held, validate};

/// What is known about the cluster around a ServiceDeployment.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The shop of `spec.storefrontRef`.
    pub storefront: Option<Arc<Storefront>>,
    /// The DatabaseBindings of `spec.bindings` that exist, by name.
    pub bindings: BTreeMap<String, Arc<DatabaseBinding>>,
    /// [`crate::hash::of_secret`] of each Secret of [`secrets_of`] that exists, by name.
    pub secrets: BTreeMap<String, String>,
    /// Those of [`secrets_of`] whose owner lets services of teams mount them, see [`MOUNTABLE`].
    pub mountable: BTreeSet<String>,
    /// Content of the Secrets of [`login_secrets`] that exist, by name.
    pub logins: BTreeMap<String, Data>,
    /// This object's Jobs (label `storefront.dev/owner-uid`), by name.
    pub jobs: BTreeMap<String, Job>,
    /// The workloads that are [`are_rivals`] of this one.
    pub rivals: Vec<Arc<ServiceDeployment>>,
    /// Every shop of the namespace: a workload may have nothing that belongs to one.
    pub shops: Vec<Arc<Storefront>>,
    /// Those of [`secrets_of`] that the operator has made.
    pub made: BTreeSet<String>,
    /// Those of [`secrets_of`] that DatabaseBindings of the namespace name as their server's.
    pub administrators: BTreeSet<String>,
    /// Whether an autoscaler that was not made for it scales its Deployment.
    pub is_scaled: bool,
    /// Whether such an autoscaler scales it itself, and so writes `spec.replicas.min`.
    pub is_scaled_itself: bool,
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

/// Names of the Secrets that the spec binds; that of a DatabaseBinding is known once it has one.
pub fn secrets_of(
    service: &ServiceDeployment,
    bindings: &BTreeMap<String, Arc<DatabaseBinding>>,
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
    databases.chain(named).collect()
}

/// Names of the shop's Secrets from which the logins at its bus and its cache are made. The pods do not mount
/// them, unless the server is the user's own.
pub fn login_secrets(service: &ServiceDeployment, storefront: &Storefront) -> Vec<String> {
    let parts = service.spec.uses.iter();
    parts
        .map(|part| login_secret(service, storefront, *part))
        .collect()
}

fn login_secret(service: &ServiceDeployment, storefront: &Storefront, part: Uses) -> String {
    let end = backing::login_secret(&storefront.spec, part);
    format!("{}-{end}", service.spec.storefront_ref.name)
}

/// The Secret that is made for a workload that uses a part of the platform.
fn bound_secret(service: &ServiceDeployment, part: Uses) -> String {
    let end = match part {
        Uses::Bus => "bus",
        Uses::Cache => "cache",
    };
    names::child(service.metadata.name.as_deref().unwrap_or_default(), end)
}
