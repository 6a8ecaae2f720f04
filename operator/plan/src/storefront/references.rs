//! The user's Secrets that a spec refers to.

use std::collections::BTreeMap;

use crds::StorefrontSpec;

use super::{Data, valid::Missing};
use crate::{
    Waiting,
    backing::{
        Backing,
        server::{Reference, Unreadable},
    },
};

/// The user's Secrets that the spec refers to.
pub(super) fn references(spec: &StorefrontSpec) -> Vec<Reference<'_>> {
    let tls = spec.gateway.tls.as_ref();
    let tls = tls.and_then(|tls| tls.secret_ref.as_ref());
    let tls = tls.map(|secret| Reference {
        field: "spec.gateway.tls.secretRef",
        name: &secret.name,
        keys: &["tls.crt", "tls.key"],
        check: |_| Ok(()),
    });
    let login = spec.notifications.email.smtp.secret_ref.as_ref();
    let login = login.map(|secret| Reference {
        field: "spec.notifications.email.smtp.secretRef",
        name: &secret.name,
        keys: &["username", "password"],
        check: |_| Ok(()),
    });
    let servers = Backing::of(spec).into_iter();
    let servers = servers.filter_map(|backing| backing.reference(spec));
    servers.chain(tls).chain(login).collect()
}

/// The Secrets that the spec names and that cannot be used, in the order of [`references`].
pub(super) fn missing(spec: &StorefrontSpec, referenced: &BTreeMap<String, Data>) -> Vec<Missing> {
    let missing = references(spec).into_iter().filter_map(|reference| {
        let on = check(&reference, referenced.get(reference.name)).err()?;
        let secret = reference.name.to_owned();
        Some(Missing { secret, on })
    });
    missing.collect()
}

fn check(reference: &Reference<'_>, data: Option<&Data>) -> Result<(), Waiting> {
    let Reference {
        field,
        name,
        keys,
        check,
    } = *reference;
    let Some(data) = data else {
        let keys = keys.join(", ");
        return Err(Waiting::new(
            "SecretMissing",
            format!("{field}: the Secret {name} does not exist; create it with {keys}"),
        ));
    };
    if let Some(key) = keys.iter().find(|key| !data.contains_key(**key)) {
        return Err(Waiting::new(
            "SecretIncomplete",
            format!("{field}: the Secret {name} has no key {key}; add it"),
        ));
    }
    check(data).map_err(|Unreadable { key, must }| {
        Waiting::new(
            "SecretUnreadable",
            format!("{field}: the {key} in the Secret {name} {must}"),
        )
    })
}
