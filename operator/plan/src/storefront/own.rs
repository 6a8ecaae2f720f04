//! What belongs to a shop, and how others are told from it.
//!
//! A ServiceDeployment or DatabaseBinding is the shop's own by its name, and what such an object asks for
//! is decided by the Storefront alone. Labels and owner references do not count: whoever may create an
//! object may write any of them.

use crds::{Access, DatabaseBinding, ServiceDeploymentSpec, Storefront};
use service_catalogue::Service;

use super::{
    Observed, catalogue,
    needs::{every_secret, needs},
    references::source,
    validate::{check_spec, for_deletion},
};
use crate::{
    Invalid, Platform,
    backing::{Database, server::Reference},
    names::service_called,
};

/// Ends of the names of what a shop makes besides its services.
const PARTS: [&str; 6] = [
    "postgres",
    "nats",
    "nats-routes",
    "redis",
    "gateway",
    "default-deny",
];

/// What the ServiceDeployment of a service has to ask for; refused where the shop's spec is.
pub(crate) fn service_spec(
    shop: &Storefront,
    service: Service,
    platform: &Platform,
) -> Result<ServiceDeploymentSpec, Invalid> {
    check_spec(shop)?;
    let valid = for_deletion(shop, Observed::default(), platform);
    Ok(catalogue::service_spec(&valid, service))
}

/// Whether a binding that is called like one of the shop's own has the server, the database and the rights
/// of that one.
pub(crate) fn is_as_the_shop_asks(shop: &Storefront, binding: &DatabaseBinding) -> bool {
    let name = shop.metadata.name.as_deref().unwrap_or_default();
    let spec = &binding.spec;
    spec.server_ref == Database::of(&shop.spec).server_ref_of(&shop.spec, name)
        && spec.database.is_none()
        && spec.access == Access::Owner
}

/// Whether the shop makes objects of this name.
pub(crate) fn takes_name(shop: &Storefront, name: &str) -> bool {
    let of_shop = shop.metadata.name.as_deref().unwrap_or_default();
    let part = name.strip_prefix(of_shop);
    let part = part.and_then(|part| part.strip_prefix('-'));
    service_called(of_shop, name).is_some() || part.is_some_and(|part| PARTS.contains(&part))
}

/// The service whose own binding one of this name is.
pub(crate) fn own_binding(shop: &Storefront, name: &str) -> Option<Service> {
    let of_shop = shop.metadata.name.as_deref().unwrap_or_default();
    service_called(of_shop, name).filter(|service| service.has_database())
}

/// Whether a Secret is one that the shop makes.
pub(crate) fn makes_secret(shop: &Storefront, name: &str) -> bool {
    every_secret(shop).any(|own| own == name)
}

/// What is said of a Secret that the shop makes and that does not exist: the operator makes it, so the user is only
/// asked for what it is made of.
pub(crate) fn awaited_secret(shop: &Storefront, name: &str) -> String {
    let of_shop = shop.metadata.name.as_deref().unwrap_or_default();
    let made = format!(
        "the Secret {name}, which the operator makes for Storefront {of_shop}, does not exist yet"
    );
    match source(shop, name) {
        None => made,
        Some(Reference {
            field, name, keys, ..
        }) => format!(
            "{made}: it is made of the Secret {name} ({field} of the Storefront), which must exist with {}",
            keys.join(", ")
        ),
    }
}

/// Whether a Secret is one that the shop makes, or one that its spec refers to.
pub(crate) fn has_secret(shop: &Storefront, name: &str) -> bool {
    let pulls = &mut shop.spec.image_pull_secrets.iter();
    makes_secret(shop, name)
        || needs(shop).referenced.iter().any(|named| named == name)
        || pulls.any(|pull| pull.name == name)
}
