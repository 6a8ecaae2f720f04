//! The Secrets that a workload mounts by `spec.bindings`, and what is said of one that is not there.

use std::collections::BTreeMap;

use crds::{Condition, DatabaseBinding, ServiceDeployment, Storefront};

use super::Observed;
use crate::{Waiting, conditions, leaving::HELD, storefront::own};

/// The Secret of each binding, once each DatabaseBinding is ready.
pub(super) fn mounts(
    service: &ServiceDeployment,
    seen: &Observed,
) -> Result<BTreeMap<String, String>, Waiting> {
    let mut mounts = BTreeMap::new();
    for binding in &service.spec.bindings {
        let secret = match (&binding.database_binding, &binding.secret_ref) {
            (Some(name), _) => database_secret(name, seen.bindings.get(name).map(|it| &**it))?,
            (None, Some(secret)) => secret.name.clone(),
            (None, None) => continue,
        };
        mounts.insert(binding.folder().to_owned(), secret);
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
    let (list, meta) = (&status.conditions, &binding.metadata);
    if !conditions::is_ready(list, meta.generation) && !is_held(list, meta.generation) {
        let said = conditions::why_not_ready(list);
        // A deletion is a new generation too, which `Ready` is not about.
        let is_said = conditions::find(list, "Ready").is_some_and(|c| !c.is_true());
        let why = if meta.deletion_timestamp.is_some() && !is_said {
            "it is being deleted, and has to be gone before it can be made again"
        } else {
            said
        };
        return waiting(format!("DatabaseBinding {name} is not ready: {why}"));
    }
    match status.binding {
        Some(secret) => Ok(secret.name),
        None => waiting(format!("DatabaseBinding {name} names no Secret yet")),
    }
}

/// Whether a binding is as it should be, but that it is being deleted and somebody else keeps it.
fn is_held(list: &[Condition], generation: Option<i64>) -> bool {
    let ready = conditions::find(list, "Ready");
    let holds = |type_: &str| {
        let found = conditions::find(list, type_);
        found.is_some_and(|c| c.is_true() && c.observed_generation == generation)
    };
    ready.is_some_and(|c| c.reason == HELD) && holds("DatabaseReady") && holds("SecretReady")
}

/// The hash of the Secret of each folder.
pub(super) fn contents(
    service: &ServiceDeployment,
    storefront: &Storefront,
    (mounts, seen): (&BTreeMap<String, String>, &Observed),
) -> Result<BTreeMap<String, String>, Waiting> {
    let hashes = mounts.iter().map(|(folder, secret)| {
        let missing = || {
            let text = absent(service, storefront, (folder, secret));
            Waiting::new("SecretMissing", text)
        };
        let hash = seen.secrets.get(secret).ok_or_else(missing)?;
        Ok((folder.clone(), hash.clone()))
    });
    hashes.collect()
}

/// Who has to make a Secret that does not exist. The user is never asked for one that the operator makes.
fn absent(
    service: &ServiceDeployment,
    storefront: &Storefront,
    (folder, secret): (&str, &str),
) -> String {
    let mut bindings = service.spec.bindings.iter().enumerate();
    let found = bindings.find(|(_, binding)| binding.folder() == folder);
    if let Some(database) = found.and_then(|(_, binding)| binding.database_binding.as_ref()) {
        return format!(
            "the Secret {secret}, which the operator makes for DatabaseBinding {database}, does not exist yet"
        );
    }
    if own::makes_secret(storefront, secret) {
        return own::awaited_secret(storefront, secret);
    }
    let at = found.map_or(0, |(at, _)| at);
    format!("the Secret {secret} (spec.bindings[{at}].secretRef) does not exist; create it")
}
