//! What a team's workload may not have: names, Secrets, databases and private events of a shop. A pod can read what it
//! mounts, so whoever may create a ServiceDeployment would otherwise be able to read the shop's keys.

use crds::ServiceDeployment;
use kube::core::ObjectMeta;

use super::Observed;
use crate::{Invalid, clients::is_private, storefront::own};

/// Label by which the owner of a Secret lets services of teams mount it: `true`.
pub const MOUNTABLE: &str = "storefront.dev/mountable";

/// Whether a Secret has that label.
pub fn is_mountable(secret: &ObjectMeta) -> bool {
    let labels = secret.labels.as_ref();
    labels.is_some_and(|labels| labels.get(MOUNTABLE).is_some_and(|value| value == "true"))
}

/// Refuses what belongs to a shop of the namespace.
pub(super) fn check(service: &ServiceDeployment, seen: &Observed) -> Result<(), Invalid> {
    check_name(service, seen)?;
    check_events(service)?;
    for binding in &service.spec.bindings {
        if let Some(secret) = &binding.secret_ref {
            check_secret(&secret.name, seen)?;
        }
        if let Some(database) = &binding.database_binding {
            check_database(database, seen)?;
        }
    }
    Ok(())
}

fn check_name(service: &ServiceDeployment, seen: &Observed) -> Result<(), Invalid> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let Some(shop) = seen.shops.iter().find(|shop| own::takes_name(shop, name)) else {
        return Ok(());
    };
    Err(Invalid::new(
        "NameTaken",
        format!(
            "metadata.name: {name} is a name of the objects of Storefront {}; create a ServiceDeployment with another name",
            name_of(shop)
        ),
    ))
}

fn check_events(service: &ServiceDeployment) -> Result<(), Invalid> {
    let events = service.spec.events.iter();
    let mut received = events.flat_map(|events| &events.subscribes);
    let Some(event) = received.find(|event| is_private(event)) else {
        return Ok(());
    };
    Err(Invalid::new(
        "EventNotAllowed",
        format!(
            "spec.events.subscribes: {event} is for the shop's own services only; take it out, and subscribe to user.registered.v1 to learn of new accounts"
        ),
    ))
}

fn check_secret(name: &str, seen: &Observed) -> Result<(), Invalid> {
    let refused = |whose: String| {
        Err(Invalid::new(
            "SecretNotAllowed",
            format!(
                "spec.bindings: the Secret {name} {whose}; bind a database with databaseBinding, the bus or the cache with spec.uses, or name a Secret of your own"
            ),
        ))
    };
    if let Some(shop) = seen.shops.iter().find(|shop| own::has_secret(shop, name)) {
        return refused(format!("belongs to Storefront {}", name_of(shop)));
    }
    if seen.made.contains(name) {
        return refused("was made by the operator".to_owned());
    }
    if seen.administrators.contains(name) {
        return refused("is that of a database server's administrator".to_owned());
    }
    // Whoever may create a ServiceDeployment need not be allowed to read Secrets.
    if seen.secrets.contains_key(name) && !seen.mountable.contains(name) {
        return Err(Invalid::new(
            "SecretNotAllowed",
            format!(
                "spec.bindings: the Secret {name} may not be mounted by services of teams; have its owner allow that with the label {MOUNTABLE}: \"true\""
            ),
        ));
    }
    Ok(())
}

fn check_database(name: &str, seen: &Observed) -> Result<(), Invalid> {
    let Some(shop) = seen
        .shops
        .iter()
        .find(|shop| own::own_binding(shop, name).is_some())
    else {
        return Ok(());
    };
    Err(Invalid::new(
        "BindingNotAllowed",
        format!(
            "spec.bindings: DatabaseBinding {name} belongs to Storefront {}; create a DatabaseBinding of your own, to which the Storefront can grant access to a service's database (spec.services.<service>.grants)",
            name_of(shop)
        ),
    ))
}

fn name_of(shop: &crds::Storefront) -> &str {
    shop.metadata.name.as_deref().unwrap_or_default()
}
