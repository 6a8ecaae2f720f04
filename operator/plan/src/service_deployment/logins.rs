//! The logins of a workload at the shop's bus and cache: each is a Secret of its own.

use std::collections::BTreeMap;

use crds::{ServiceDeployment, Storefront};

use super::{
    Observed, bound_secret,
    checks::folder_of,
    login_secret,
    valid::{Bound, Valid},
};
use crate::{
    Objects, Planned, Waiting, backing,
    clients::Client,
    hash, pods,
    storefront::{Data, own},
};

/// The binding to each part of the platform that the workload uses.
pub(super) fn bound(
    service: &ServiceDeployment,
    storefront: &Storefront,
    seen: &Observed,
) -> Result<Vec<Bound>, Waiting> {
    let shop = &service.spec.storefront_ref.name;
    let client = Client::of(service);
    let of = |part: &crds::Uses| {
        let source = login_secret(service, storefront, *part);
        let Some(content) = seen.logins.get(&source) else {
            let text = format!("spec.uses: {}", own::awaited_secret(storefront, &source));
            return Err(Waiting::new("SecretMissing", text));
        };
        let made = backing::binding((&storefront.spec, shop), *part, &client, content);
        let (secret, data) = match &made {
            Some((_, data)) => (bound_secret(service, *part), data),
            None => (source, content),
        };
        Ok(Bound {
            folder: folder_of(*part),
            secret,
            hash: hash_of(data),
            made,
        })
    };
    service.spec.uses.iter().map(of).collect()
}

fn hash_of(data: &Data) -> String {
    hash::short(data.iter().flat_map(|(key, value)| [key.as_bytes(), value]))
}

/// Plans the Secrets.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    for bound in &valid.bound {
        if let Some((kind, data)) = &bound.made {
            let meta = valid.scope.meta(&bound.secret, valid.app(), valid.name());
            objects.apply(&pods::secret(meta, kind, data.clone()));
        }
    }
}

/// The Secret of each folder, and its hash.
pub(super) fn folders(bound: &[Bound]) -> [BTreeMap<String, String>; 2] {
    let by = |value: fn(&Bound) -> &String| {
        let entries = bound.iter();
        entries
            .map(|it| (it.folder.to_owned(), value(it).clone()))
            .collect()
    };
    [by(|it| &it.secret), by(|it| &it.hash)]
}
