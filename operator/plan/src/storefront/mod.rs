//! Storefront: one shop, its platform parts and its services.

mod bus_cluster;
mod cache;
mod catalogue;
pub mod certificate;
mod data_services;
mod desired;
mod edge;
pub(crate) mod flows;
mod material;
mod needs;
mod parts;
mod proof;
mod secrets;
mod signing_keys;
mod status;
mod teardown;
mod validate;

use std::collections::BTreeMap;

use crds::Storefront;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::core::ApiResource;

use crate::{Applied, Objects};

pub use catalogue::platform_path;
pub use certificate::{Certificate, Minted};
pub use desired::desired;
pub(crate) use edge::VERSION_ANNOTATION;
pub use material::{Data, Fresh, SigningKey};
pub use needs::{MissingMaterial, Needs, missing_material, needs};
pub use proof::servers;
pub use status::{children, status, unready};
pub use teardown::{Live, Teardown, teardown};
pub use validate::{Missing, Server, Valid, for_deletion, validate};

/// Port of the Service of every workload.
pub const SERVICE_PORT: i32 = 8080;
/// Port of probes and metrics of every built-in workload.
pub const METRICS_PORT: i32 = 9090;
/// The data plane that the platform brings along.
pub const BUILT_IN_CLASS: &str = "storefront";

/// What is known about the world around a Storefront.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// When the look was taken.
    pub now: Timestamp,
    /// The shop's own Secrets that exist, by name: those of [`Needs::own`].
    pub own: BTreeMap<String, Data>,
    /// The user's Secrets that exist, by name: those of [`Needs::referenced`].
    pub referenced: BTreeMap<String, Data>,
    /// The live ones of [`servers`].
    pub servers: Objects<Applied>,
    /// The shop's own Jobs, by name.
    pub jobs: BTreeMap<String, Job>,
    /// New random material: what [`missing_material`] says of `own`.
    pub fresh: Fresh,
    /// A certificate that takes the place of the one in `own`, where that is due.
    pub minted: Option<Minted>,
}

/// Names of every Secret that the shop makes for itself.
fn made_secrets(storefront: &Storefront) -> Vec<String> {
    let name = storefront.metadata.name.as_deref().unwrap_or_default();
    // The cache's are taken also while the user runs it: a shop may go back to one of its own.
    let derived = ["nats-config", "redis-auth", "redis-config", "smtp"].into_iter();
    let mut names = needs(storefront).own;
    names.extend(derived.map(|part| format!("{name}-{part}")));
    names
}

/// A Secret of the user's that the spec refers to.
struct Reference<'a> {
    field: &'static str,
    name: &'a str,
    /// What must be in it.
    keys: &'static [&'static str],
}

/// The field that names the Secret of a cache.
const CACHE: &str = "spec.cache.external.secretRef";

fn references(storefront: &Storefront) -> Vec<Reference<'_>> {
    let spec = &storefront.spec;
    let database = spec.database.external.as_ref();
    let cache = spec.cache.external.as_ref();
    let tls = spec.gateway.tls.as_ref();
    let found = [
        (
            "spec.database.external.adminSecretRef",
            database.map(|it| &it.admin_secret_ref),
            &["host", "port", "username", "password"][..],
        ),
        (
            "spec.gateway.tls.secretRef",
            tls.and_then(|it| it.secret_ref.as_ref()),
            &["tls.crt", "tls.key"],
        ),
        (
            "spec.notifications.email.smtp.secretRef",
            spec.notifications.email.smtp.secret_ref.as_ref(),
            &["username", "password"],
        ),
        (CACHE, cache.map(|it| &it.secret_ref), &["uri"]),
    ];
    let named = found.into_iter().filter_map(|(field, secret, keys)| {
        let name = secret?.name.as_str();
        Some(Reference { field, name, keys })
    });
    named.collect()
}

/// Names of the user's Secrets that the spec refers to.
fn referenced_secrets(storefront: &Storefront) -> Vec<String> {
    let named = references(storefront).into_iter();
    named.map(|reference| reference.name.to_owned()).collect()
}

/// The scheme and first host of the shop, as clients write it.
pub fn url(storefront: &Storefront) -> String {
    let scheme = if storefront.spec.gateway.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let host = storefront
        .spec
        .hostnames
        .first()
        .map_or("localhost", String::as_str);
    format!("{scheme}://{host}")
}

/// The release that the shop runs: what the spec says, else what it has run so far, else the operator's own.
pub fn version(storefront: &Storefront, platform: &crate::Platform) -> String {
    let pinned = storefront
        .status
        .as_ref()
        .and_then(|status| status.version.clone());
    storefront
        .spec
        .version
        .clone()
        .or(pinned)
        .unwrap_or_else(|| platform.version.clone())
}

/// The release whose servers run: what the spec says comes after it until their images were seen to start.
pub fn running_version(storefront: &Storefront, platform: &crate::Platform) -> String {
    let status = storefront.status.as_ref();
    let running = status.and_then(|status| status.version.clone());
    running.unwrap_or_else(|| version(storefront, platform))
}

/// Kinds that are looked through for objects that no plan names any more.
pub fn pruned_kinds() -> Vec<ApiResource> {
    use k8s_openapi::api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{Secret, Service},
        networking::v1::NetworkPolicy,
    };
    vec![
        ApiResource::erase::<crds::ServiceDeployment>(&()),
        ApiResource::erase::<crds::DatabaseBinding>(&()),
        ApiResource::erase::<crds::RateLimitPolicy>(&()),
        ApiResource::erase::<gateway_routes::api::Gateway>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<Secret>(&()),
    ]
}
