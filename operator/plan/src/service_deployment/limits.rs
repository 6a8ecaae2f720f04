//! What a team's workload may not have: names, Secrets and databases of a shop. A pod can read what it
//! mounts, so whoever may create a ServiceDeployment would otherwise be able to read the shop's keys.

use crds::ServiceDeployment;

use super::Observed;
use crate::{Invalid, names::service_called, storefront::own};

/// Refuses what belongs to a shop of the namespace.
pub(super) fn check(service: &ServiceDeployment, seen: &Observed) -> Result<(), Invalid> {
    check_name(service, seen)?;
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
    Ok(())
}

fn check_database(name: &str, seen: &Observed) -> Result<(), Invalid> {
    let is_its_own = |shop: &&std::sync::Arc<crds::Storefront>| {
        service_called(name_of(shop), name).is_some_and(service_catalogue::Service::has_database)
    };
    let Some(shop) = seen.shops.iter().find(is_its_own) else {
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
