use std::collections::BTreeMap;

use crds::{DatabaseBinding, ServiceDeployment};

use super::{
    Observed,
    checks::{check_routes, check_spec, folder_of},
    migration, platform_secret, rivals,
    valid::{Migration, Valid},
};
use crate::{Invalid, Platform, Verdict, Waiting, conditions, objects::owner_of, pods::Scope};

/// Whether the workload can run now.
pub fn validate(
    service: &ServiceDeployment,
    seen: &Observed,
    platform: &Platform,
) -> Verdict<Valid> {
    if let Err(why) = check_spec(service) {
        return Verdict::Invalid(why);
    }
    let shop = &service.spec.storefront_ref.name;
    let Some(storefront) = &seen.storefront else {
        let text = format!(
            "spec.storefrontRef: there is no Storefront {shop} in this namespace; create it"
        );
        return Verdict::Waiting(Waiting::new("StorefrontMissing", text));
    };
    if let Err(why) = check_routes(service, storefront) {
        return Verdict::Invalid(why);
    }
    let mounts = match mounts(service, seen) {
        Ok(mounts) => mounts,
        Err(on) => return Verdict::Waiting(on),
    };
    let contents = match contents(&mounts, seen) {
        Ok(contents) => contents,
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
        mounts,
        contents,
        recreated: recreated(service, seen),
        uses_database: service
            .spec
            .bindings
            .iter()
            .any(|b| b.database_binding.is_some()),
        migration: Migration::Unneeded,
        taken: rivals::taken(service, &seen.rivals, storefront),
    };
    valid.migration = migration::observe(&valid, &seen.jobs);
    if let Migration::Failed { job, is_late } = &valid.migration {
        return Verdict::Invalid(failed(job, *is_late));
    }
    Verdict::Ready(valid)
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

/// The Secret of each binding, once each DatabaseBinding is ready.
fn mounts(
    service: &ServiceDeployment,
    seen: &Observed,
) -> Result<BTreeMap<String, String>, Waiting> {
    let mut mounts = BTreeMap::new();
    for binding in &service.spec.bindings {
        let secret = match (&binding.database_binding, &binding.secret_ref) {
            (Some(name), _) => database_secret(name, seen.bindings.get(name))?,
            (None, Some(secret)) => secret.name.clone(),
            (None, None) => continue,
        };
        mounts.insert(binding.folder().to_owned(), secret);
    }
    for part in &service.spec.uses {
        mounts.insert(folder_of(*part).to_owned(), platform_secret(service, *part));
    }
    Ok(mounts)
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

fn database_secret(name: &str, binding: Option<&DatabaseBinding>) -> Result<String, Waiting> {
    let waiting = |text: String| Err(Waiting::new("BindingNotReady", text));
    let Some(binding) = binding else {
        return waiting(format!(
            "spec.bindings: there is no DatabaseBinding {name} in this namespace; create it"
        ));
    };
    let status = binding.status.clone().unwrap_or_default();
    if !conditions::is_ready(&status.conditions, binding.metadata.generation) {
        let why = conditions::find(&status.conditions, "Ready")
            .map_or("it has not been reconciled yet", |c| c.message.as_str());
        return waiting(format!("DatabaseBinding {name} is not ready: {why}"));
    }
    match status.binding {
        Some(secret) => Ok(secret.name),
        None => waiting(format!("DatabaseBinding {name} names no Secret yet")),
    }
}

fn contents(
    mounts: &BTreeMap<String, String>,
    seen: &Observed,
) -> Result<BTreeMap<String, String>, Waiting> {
    mounts
        .iter()
        .map(|(folder, secret)| match seen.secrets.get(secret) {
            Some(hash) => Ok((folder.clone(), hash.clone())),
            None => Err(Waiting::new(
                "SecretMissing",
                format!(
                    "spec.bindings: the Secret {secret} for {folder} does not exist; create it"
                ),
            )),
        })
        .collect()
}
