use std::{borrow::Cow, collections::BTreeMap};

use crds::{Replicas, ServiceDeployment, Storefront};

use super::{
    Observed, bindings_of,
    checks::{check_routes, check_spec, own_service},
    limits, logins, migration, mounts, placement, rivals,
    valid::{Bound, Migration, Valid},
};
use crate::{
    Invalid, Platform, Verdict, Waiting, leaving, objects::owner_of, pods::Scope, release::Release,
    storefront::own,
};

/// Whether the workload can run now.
pub fn validate(
    service: &ServiceDeployment,
    seen: &Observed,
    platform: &Platform,
) -> Verdict<Valid> {
    let own = own_service(service);
    if own.is_none()
        && let Err(why) = check_team(service, seen)
    {
        return Verdict::Invalid(why);
    }
    let shop = &service.spec.storefront_ref.name;
    let Some(storefront) = &seen.storefront else {
        let text = format!(
            "spec.storefrontRef: there is no Storefront {shop} in this namespace; create it"
        );
        return Verdict::Waiting(Waiting::new("StorefrontMissing", text));
    };
    if own.is_none()
        && let Err(why) = placement::check(service, storefront)
    {
        return Verdict::Invalid(why);
    }
    let service = match as_it_runs(service, storefront, seen, platform) {
        Ok(service) => service,
        Err(on) => return Verdict::Waiting(on),
    };
    let service = &service;
    if own.is_some()
        && let Err(on) = check_own_databases(service, storefront, seen)
    {
        return Verdict::Waiting(on);
    }
    let (bound, mounts, contents) = match bind(service, storefront, seen) {
        Ok(found) => found,
        Err(on) => return Verdict::Waiting(on),
    };
    let owner = owner_of(service);
    let mut valid = Valid {
        scope: Scope {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            storefront: Some(shop.clone()),
            owner,
        },
        service: service.clone(),
        storefront: storefront.clone(),
        platform: platform.clone(),
        release: Release::of(storefront, platform),
        mounts,
        contents,
        recreated: recreated(service, seen),
        bound,
        uses_database: service
            .spec
            .bindings
            .iter()
            .any(|b| b.database_binding.is_some()),
        migration: Migration::Unneeded,
        is_scaled: seen.is_scaled,
        taken: rivals::taken(service, &seen.rivals),
    };
    valid.migration = migration::observe(&valid, &seen.jobs);
    if let Migration::Failed { job, is_late } = &valid.migration {
        return Verdict::Invalid(failed(job, *is_late));
    }
    Verdict::Ready(valid)
}

/// Whether a workload that is being deleted goes on as before, because somebody else's finalizer keeps it.
pub fn is_held(service: &ServiceDeployment, storefront: &Storefront) -> bool {
    leaving::held_by_others(storefront, &service.metadata, None).is_some()
}

fn failed(job: &str, is_late: bool) -> Invalid {
    let text = if is_late {
        format!(
            "the migration did not end in time: see `kubectl logs job/{job}`; spec.migrate.args must run something that ends within spec.migrate.deadline. Change it or the image, or delete the Job to try again"
        )
    } else {
        format!(
            "the migration failed: see `kubectl logs job/{job}`, then change the image, or delete the Job to try again"
        )
    };
    Invalid::new("MigrationFailed", text)
}

/// The workload as it runs, with the number of pods that an autoscaler of it asks for.
fn as_it_runs(
    asked: &ServiceDeployment,
    storefront: &Storefront,
    seen: &Observed,
    platform: &Platform,
) -> Result<ServiceDeployment, Waiting> {
    let shop = &asked.spec.storefront_ref.name;
    let runs = effective(asked, storefront, platform).map_err(|why| {
        let text = format!(
            "Storefront {shop} is refused, so this service stays as it is: {}",
            why.message
        );
        Waiting::new("StorefrontInvalid", text)
    });
    let mut runs = runs?.into_owned();
    if seen.is_scaled_itself {
        // An autoscaler of ours would be a second one.
        runs.spec.replicas = Replicas {
            min: asked.spec.replicas.min,
            ..Replicas::default()
        };
    }
    Ok(runs)
}

/// What holds for a team's workload and not for those of the shop.
fn check_team(service: &ServiceDeployment, seen: &Observed) -> Result<(), Invalid> {
    check_spec(service)?;
    check_routes(service)?;
    limits::check(service, seen)
}

/// The workload as it runs. A service of the shop runs as the Storefront asks, whatever its own spec says:
/// many may write that one, and its pods have the shop's keys. Refused where the Storefront's spec is.
pub fn effective<'a>(
    service: &'a ServiceDeployment,
    storefront: &Storefront,
    platform: &Platform,
) -> Result<Cow<'a, ServiceDeployment>, Invalid> {
    let Some(own) = own_service(service) else {
        return Ok(Cow::Borrowed(service));
    };
    Ok(Cow::Owned(ServiceDeployment {
        spec: own::service_spec(storefront, own, platform)?,
        ..service.clone()
    }))
}

/// A database of the shop is found by its name, under which somebody else may have made another one.
fn check_own_databases(
    service: &ServiceDeployment,
    storefront: &Storefront,
    seen: &Observed,
) -> Result<(), Waiting> {
    for name in bindings_of(service) {
        let found = seen.bindings.get(&name);
        if found.is_some_and(|found| !own::is_as_the_shop_asks(storefront, found)) {
            let text = format!(
                "DatabaseBinding {name} has another server, database or access than its Storefront asks for; delete it, and the operator makes it again"
            );
            return Err(Waiting::new("BindingNotTheShops", text));
        }
    }
    Ok(())
}

/// What is bound of the platform, and for each folder its Secret and the hash of that.
type Bindings = (
    Vec<Bound>,
    BTreeMap<String, String>,
    BTreeMap<String, String>,
);

fn bind(
    service: &ServiceDeployment,
    storefront: &Storefront,
    seen: &Observed,
) -> Result<Bindings, Waiting> {
    let bound = logins::bound(service, storefront, seen)?;
    let mut mounts = mounts::mounts(service, seen)?;
    let mut contents = mounts::contents(service, storefront, (&mounts, seen))?;
    let [secrets, hashes] = logins::folders(&bound);
    mounts.extend(secrets);
    contents.extend(hashes);
    Ok((bound, mounts, contents))
}

fn recreated(service: &ServiceDeployment, seen: &Observed) -> BTreeMap<String, i64> {
    let bindings = service.spec.bindings.iter();
    let numbers = bindings.filter_map(|bound| {
        let found = seen.bindings.get(bound.database_binding.as_ref()?)?;
        let recreation = found.status.as_ref()?.recreation.as_ref()?;
        Some((bound.folder().to_owned(), recreation.number))
    });
    numbers.collect()
}
