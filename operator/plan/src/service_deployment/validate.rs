use std::collections::{BTreeMap, BTreeSet};

use crds::{DatabaseBinding, ServiceDeployment, Storefront, Uses};

use super::{
    Observed, migration,
    migration::Migration,
    platform_secret,
    rivals::{self, Taken},
};
use crate::storefront::platform_path;
use crate::{Invalid, Platform, Verdict, Waiting, conditions, objects::owner_of, pods::Scope};

/// Folders under `/bindings` that the platform itself fills.
const BUS_FOLDER: &str = "bus";
const CACHE_FOLDER: &str = "cache";
/// Reason of a workload that wants a path of somebody else's.
pub(super) const PATH_TAKEN: &str = "PathTaken";

/// A ServiceDeployment that can be acted on.
#[derive(Clone, Debug)]
pub struct Valid {
    pub(super) service: ServiceDeployment,
    pub(super) storefront: Storefront,
    pub(super) scope: Scope,
    pub(super) platform: Platform,
    /// Folder under `/bindings` and the Secret in it, by folder.
    pub(super) mounts: BTreeMap<String, String>,
    /// Hash of each mounted Secret, by folder.
    pub(super) contents: BTreeMap<String, String>,
    /// Whether a DatabaseBinding is among the bindings.
    pub(super) uses_database: bool,
    pub(super) migration: Migration,
    /// Paths of the spec that an older workload has.
    pub(super) taken: Taken,
}

impl Valid {
    /// Name of the object, and of nearly everything made for it.
    pub fn name(&self) -> &str {
        &self.scope.owner.name
    }

    /// Where the migration of this revision stands.
    pub fn migration(&self) -> &Migration {
        &self.migration
    }

    /// See [`app_of`].
    pub(super) fn app(&self) -> &str {
        app_of(&self.service)
    }

    pub(super) fn shop(&self) -> &str {
        &self.service.spec.storefront_ref.name
    }
}

/// The name without that of the shop: `auth` of `demo-auth`.
pub(super) fn app_of(service: &ServiceDeployment) -> &str {
    let shop = service.spec.storefront_ref.name.as_str();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    name.strip_prefix(shop)
        .and_then(|rest| rest.strip_prefix('-'))
        .unwrap_or(name)
}

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
        uses_database: service
            .spec
            .bindings
            .iter()
            .any(|b| b.database_binding.is_some()),
        migration: Migration::Unneeded,
        taken: rivals::taken(service, &seen.rivals, storefront),
    };
    valid.migration = migration::observe(&valid, &seen.jobs);
    if let Migration::Failed { job } = &valid.migration {
        let text = format!(
            "the migration failed for good: read `kubectl logs job/{job}`, then change the image, or delete the Job to try again"
        );
        return Verdict::Invalid(Invalid::new("MigrationFailed", text));
    }
    Verdict::Ready(valid)
}

pub(super) fn check_spec(service: &ServiceDeployment) -> Result<(), Invalid> {
    let spec = &service.spec;
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() || name.len() > 53 {
        return Err(Invalid::new(
            "NameTooLong",
            "metadata.name must have 1 to 53 characters; make a ServiceDeployment with a shorter name",
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

/// A team's service may not answer in the place of the shop's own: a route below one of theirs would
/// win, and take logins and orders to somebody else.
pub(super) fn check_routes(
    service: &ServiceDeployment,
    storefront: &Storefront,
) -> Result<(), Invalid> {
    if is_the_shops_own(service, storefront) {
        return Ok(());
    }
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

pub(super) fn is_the_shops_own(service: &ServiceDeployment, storefront: &Storefront) -> bool {
    let owners = service.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| {
        owner.kind == "Storefront" && Some(&owner.uid) == storefront.metadata.uid.as_ref()
    })
}

fn folder_of(part: Uses) -> &'static str {
    match part {
        Uses::Bus => BUS_FOLDER,
        Uses::Cache => CACHE_FOLDER,
    }
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
            .map_or("it has not been looked at yet", |c| c.message.as_str());
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
