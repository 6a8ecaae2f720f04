//! Storefront: one shop, its backing servers, its services and its gateway.

mod bindings;
mod catalogue;
pub mod certificate;
mod desired;
mod edge;
mod ending;
mod hosts;
mod known;
mod material;
mod needs;
mod observed;
pub(crate) mod own;
mod parts;
mod policies;
mod recovery;
mod references;
pub(crate) mod secret;
mod secrets;
mod signing_keys;
mod status;
mod teardown;
mod told;
mod valid;
mod validate;

use crds::Storefront;
use service_catalogue::Service;

pub use crate::clients::{Client, team_clients};
pub use crate::names::{service_called, shop_of_binding};
pub use catalogue::platform_path;
pub(crate) use catalogue::set_terms;
pub use certificate::Certificate;
pub use desired::desired;
pub(crate) use edge::VERSION_ANNOTATION;
pub use ending::{Held, held};
pub use hosts::{share_a_host, shared_hosts};
pub use material::{Data, Fresh, Minted, SigningKey};
pub use needs::{
    MissingMaterial, Needs, may_be_pruned, missing_material, needs, parts_with_volumes, servers,
    set_of_claim, volume_claims,
};
pub use observed::Observed;
pub use status::{children, status, unready};
pub use teardown::{Live, Teardown, teardown};
pub use valid::{Missing, Valid};
pub use validate::{for_deletion, validate};

/// Port of the Service of every workload.
pub const SERVICE_PORT: i32 = 8080;
/// Port of probes and metrics of every built-in workload.
pub const METRICS_PORT: i32 = 9090;
/// The data plane that the platform brings along.
pub const BUILT_IN_CLASS: &str = "storefront";

/// Names of the ServiceDeployments of a shop's own services.
pub fn services_of(shop: &str) -> impl Iterator<Item = String> {
    let all = Service::ALL.into_iter();
    all.map(move |service| format!("{shop}-{service}"))
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

/// The issuer of the shop's tokens: the URL that the shop had when it was made. Tokens would all be refused at
/// once if it followed host names and scheme.
pub fn issuer(storefront: &Storefront) -> String {
    let known = storefront.status.as_ref();
    let known = known.and_then(|status| status.issuer.clone());
    known.unwrap_or_else(|| url(storefront))
}
